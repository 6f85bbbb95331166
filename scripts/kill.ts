/**
 * Kills a broker under load, again and again, and says what of that which it had acknowledged is
 * lost: `node dist/scripts/kill.js --kills 500 --workers 2 --seed 7`. With `--victim shard` one of
 * its shards is killed, with `both` one or the other; `--durability commit` is a setting of it.
 * Another broker: `--broker mosquitto`, or any with
 * `--command 'exec other-broker --port $PORT --data $FOLDER'`; then the run goes on after a fault,
 * as it does with `--go-on`. With `--hold` the broker is left running at a fault, to be looked at,
 * until SIGINT. Ends with 1 if there was a fault.
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { reportLines, runKills, type Victim } from '../test/support/kill/run.js';

/** As Debian has it, saving once a second: of what is lost, what came in the last second. */
const MOSQUITTO =
  'printf "%s\\n" "listener $PORT 127.0.0.1" "allow_anonymous true" "persistence true" ' +
  '"persistence_location $FOLDER/" "autosave_interval 1" "user root" "max_queued_messages 0" ' +
  '"max_inflight_messages 0" "log_type error" > "$FOLDER/mosquitto.conf"; ' +
  'PATH="$PATH:/usr/sbin:/usr/local/sbin" exec mosquitto -c "$FOLDER/mosquitto.conf"';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    workers: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    victim: { type: 'string', default: 'process' },
    durability: { type: 'string', default: '' },
    sessions: { type: 'string', default: '' },
    broker: { type: 'string', default: '' },
    command: { type: 'string', default: '' },
    load: { type: 'string', default: '600' },
    rest: { type: 'string', default: '10' },
    stall: { type: 'string', default: '15000' },
    hold: { type: 'boolean', default: false },
    'no-groups': { type: 'boolean', default: false },
    'go-on': { type: 'boolean', default: false },
  },
});
const VICTIMS: readonly Victim[] = ['process', 'shard', 'both'];
const victim = VICTIMS.find((word) => word === values.victim);
if (victim === undefined) throw new Error(`--victim: one of ${VICTIMS.join(', ')}`);
const command = values.broker === 'mosquitto' ? MOSQUITTO : values.command;
const seed = Number(values.seed);
console.log(`seed ${seed}`);
const report = await runKills({
  seed,
  workers: Number(values.workers),
  kills: Number(values.kills),
  victim,
  environment: {
    ...(values.durability === '' ? {} : { SURGEMQ_DURABILITY: values.durability }),
    ...(values.sessions === '' ? {} : { SURGEMQ_SESSIONS: values.sessions }),
  },
  command: command === '' ? null : command,
  loadMs: Number(values.load),
  restEvery: Number(values.rest),
  stallMs: Number(values.stall),
  hasGroups: !values['no-groups'],
  isGoingOn: values['go-on'] || command !== '',
  async onFaults({ lines }, folder, pid) {
    if (!values.hold) return;
    for (const line of lines) console.log(line);
    console.log(`the broker ${pid} is left running with ${folder}`);
    const alive = setInterval(() => {}, 60_000);
    await once(process, 'SIGINT');
    clearInterval(alive);
  },
  onProgress: (text) => console.log(text),
});
for (const line of reportLines(report)) console.log(line);
process.exitCode = report.faults.total === 0 ? 0 : 1;
