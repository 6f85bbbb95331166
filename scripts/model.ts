/**
 * `node dist/scripts/model.js [--seeds N] [--first S] [--workers W] [--ring-bytes B]
 * [--kill | --restarts] [--shrink SECONDS] [--rule NAME] [--verbose]`: random histories of many
 * clients against the reference of test/model, for as many seeds as wanted. Default: 500 seeds from
 * 1 with 1, 2 and 3 workers. `--kill` has a shard die, `--restarts` a broker with a store end, in
 * order or by SIGKILL, and start again: where a seed has faults the folder with its store and log
 * is kept, and the next seed begins in a new one. Prints the faults by rule, and with `--shrink`
 * the shortest history that was found of each faulty seed, up to five. `--rule` looks at that rule
 * alone.
 */
import { parseArgs } from 'node:util';
import { endBrokersOnSignals } from '../bench/support/broker-child.js';
import { checkSeeds } from '../test/model/check-seeds.js';
import { RULES } from '../test/model/rules.js';

/**
 * For what was acknowledged to come: it costs nothing where nothing is lost, and on a loaded
 * machine, where each write waits for the disk, what is late must not look lost.
 */
const PATIENCE_MS = 60_000;
const FULL_RING_BYTES = 65_536;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '500' },
    first: { type: 'string', default: '1' },
    workers: { type: 'string', default: '1,2,3' },
    'ring-bytes': { type: 'string' },
    kill: { type: 'boolean', default: false },
    restarts: { type: 'boolean', default: false },
    rule: { type: 'string' },
    shrink: { type: 'string', default: '0' },
    verbose: { type: 'boolean', default: false },
  },
});
const ringBytes = values['ring-bytes'] === undefined ? undefined : Number(values['ring-bytes']);
let total = 0;
endBrokersOnSignals();

/** All rules but one. */
function rulesBeside(rule: string): string[] {
  if (!(rule in RULES)) throw new Error(`no rule ${rule}: ${Object.keys(RULES).join(', ')}`);
  return Object.keys(RULES).filter((name) => name !== rule);
}

for (const workers of values.workers.split(',').map(Number)) {
  const started = Date.now();
  const shrinkMs = Number(values.shrink) * 1_000;
  const report = await checkSeeds({
    workers,
    first: Number(values.first),
    seeds: Number(values.seeds),
    ...(ringBytes === undefined ? {} : { ringBytes }),
    kills: values.kill,
    restarts: values.restarts,
    fillsRings: ringBytes !== undefined && ringBytes <= FULL_RING_BYTES,
    patienceMs: PATIENCE_MS,
    shrinkMs,
    ignored: new Set(values.rule === undefined ? [] : rulesBeside(values.rule)),
    faultySeedsMax: shrinkMs > 0 ? 5 : Number.POSITIVE_INFINITY,
    onSeed: (seed, faults) => {
      if (!values.verbose) return;
      const rules = [...new Set(faults.map(({ rule }) => rule))].join(' ');
      console.log(`seed ${seed}: ${faults.length} faults ${rules}`);
      for (const { rule, text } of faults) console.log(`  ${rule}: ${text}`);
    },
    onKept: (seed, folder) => console.log(`seed ${seed}: the broker's folder is ${folder}`),
  });
  for (const text of report.texts) console.log(`${text}\n`);
  const seconds = ((Date.now() - started) / 1_000).toFixed(1);
  console.log(
    `${workers} workers: ${values.seeds} seeds in ${seconds} s, ${report.publications} ` +
      `publications, ${report.deliveries} deliveries`,
  );
  for (const rule of Object.keys(RULES)) report.faults.has(rule) && printRule(rule);
  for (const rule of report.faults.keys()) if (!(rule in RULES)) printRule(rule);

  function printRule(rule: string): void {
    const count = report.faults.get(rule) ?? 0;
    total += count;
    console.log(`  ${rule}: ${count} faults in ${report.seeds.get(rule)} seeds`);
  }
}
process.exitCode = total === 0 ? 0 : 1;
