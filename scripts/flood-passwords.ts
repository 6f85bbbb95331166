/**
 * How quiet clients fare beside a flood of CONNECTs with bad passwords: latencies of messages of
 * connected pairs, and of CONNACK for users who come and go, without the flood and with it.
 *
 *   node dist/scripts/flood-passwords.js [--kind sha512-pbkdf2] [--workers 2] [--addresses 1]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  formatPasswordHash,
  HASH_KINDS,
  type HashKind,
  hashPassword,
} from '../src/access/password-hash.js';
import { connect as connectClient } from '../src/client/index.js';
import { Server } from '../src/index.js';
import { connect } from '../test/support/packets.js';

const { values } = parseArgs({
  options: {
    kind: { type: 'string', default: 'sha512-pbkdf2' },
    workers: { type: 'string', default: '2' },
    addresses: { type: 'string', default: '1' },
    connections: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '10' },
    /** Set in the processes that this starts: what they are. */
    role: { type: 'string', default: '' },
    port: { type: 'string', default: '0' },
  },
});
const [workers, addresses, connections, seconds, port] = [
  values.workers,
  values.addresses,
  values.connections,
  values.seconds,
  values.port,
].map(Number);
const PAIRS = 10;
const MESSAGES_PER_SECOND = 20;
const USERS = 20;

function percentile(times: readonly number[], share: number): string {
  const sorted = [...times].sort((a, b) => a - b);
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * share));
  return `${sorted[at]?.toFixed(1) ?? '-'} ms`;
}

/** The flood: connections that come again at once when they are refused. */
async function flood(): Promise<void> {
  let refused = 0;
  const attack = (n: number): void => {
    const localAddress = `127.0.1.${1 + (n % addresses)}`;
    const socket: Socket = createConnection({ host: '127.0.0.1', port, localAddress });
    const username = n % 2 === 0 ? `user${n % USERS}` : `nobody${n}`;
    socket.write(connect({ clientId: `bad-${n}`, username, password: `wrong${Math.random()}` }));
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => {
      refused++;
      setImmediate(attack, n);
    });
  };
  for (let n = 0; n < connections; n++) attack(n);
  process.on('message', () => {
    process.send?.(refused);
    refused = 0;
  });
  await new Promise(() => {});
}

/** The quiet clients: latencies for as long as it takes. */
async function measure(): Promise<void> {
  const uri = `mqtt://127.0.0.1:${port}`;
  const messages: number[] = [];
  const connacks: number[] = [];
  const end = performance.now() + seconds * 1_000;
  const user = (n: number) => ({
    username: `user${n % USERS}`,
    password: `right${n % USERS}`,
    reconnect: false as const,
  });
  const pairs = Array.from({ length: PAIRS }, async (_, n) => {
    const [from, to] = await Promise.all([
      connectClient(uri, user(n)),
      connectClient(uri, user(n)),
    ]);
    await to.subscribe(`pair/${n}`, ({ payload }) => {
      messages.push(performance.now() - Number(payload));
    });
    while (performance.now() < end) {
      await from.publish(`pair/${n}`, String(performance.now()));
      await delay(1_000 / MESSAGES_PER_SECOND);
    }
    await Promise.all([from.disconnect(), to.disconnect()]);
  });
  const visitors = Array.from({ length: 4 }, async (_, n) => {
    for (let visit = 0; performance.now() < end; visit++) {
      const from = performance.now();
      const client = await connectClient(uri, user(n * 7 + visit));
      connacks.push(performance.now() - from);
      await client.disconnect();
      await delay(20);
    }
  });
  await Promise.all([...pairs, ...visitors]);
  const line = (what: string, times: readonly number[]): string =>
    `${what}: ${times.length}, median ${percentile(times, 0.5)}, p99 ${percentile(times, 0.99)}, ` +
    `longest ${percentile(times, 1)}`;
  process.send?.([line('messages', messages), line('CONNACKs', connacks)].join('\n  '));
  await new Promise(() => {});
}

function start(role: string, at: number): ChildProcess {
  const self = fileURLToPath(import.meta.url);
  return fork(self, [...process.argv.slice(2), '--role', role, '--port', String(at)]);
}

async function run(): Promise<void> {
  const kind = HASH_KINDS.find((one) => one === values.kind) ?? ('scrypt' satisfies HashKind);
  const folder = mkdtempSync(join(tmpdir(), 'surgemq-flood-'));
  const passwordFile = join(folder, 'users');
  const lines: string[] = [];
  for (let n = 0; n < USERS; n++) {
    lines.push(`user${n}:${formatPasswordHash(await hashPassword(kind, `right${n}`))}\n`);
  }
  writeFileSync(passwordFile, lines.join(''));
  const server = new Server({ workers, sessionsProvider: 'mem', passwordFile });
  await server.listenAndServe('tcp://127.0.0.1:0');
  const at = server.addresses[0].port;
  for (const isFlooded of [false, true]) {
    const attacker = isFlooded ? start('flood', at) : null;
    if (attacker !== null) await delay(2_000);
    attacker?.send('begin');
    if (attacker !== null) await once(attacker, 'message');
    const before = process.cpuUsage();
    const quiet = start('measure', at);
    const [said] = await once(quiet, 'message');
    const { user, system } = process.cpuUsage(before);
    quiet.kill();
    let rate = 0;
    if (attacker !== null) {
      attacker.send('end');
      rate = Number((await once(attacker, 'message'))[0]) / seconds;
      attacker.kill();
    }
    const cores = ((user + system) / 1e6 / seconds).toFixed(2);
    const how = isFlooded ? `beside ${rate.toFixed(0)} refusals a second` : 'without a flood';
    console.log(`${kind}, ${workers} workers, ${how}, ${cores} cores\n  ${String(said)}`);
  }
  const stats = server.stats();
  console.log(
    `refused ${stats.authenticationRefusals}, turned away ${stats.authenticationsTurnedAway}, ` +
      `failures ${stats.authenticationFailures}, longest delay ${stats.eventLoopDelayMs} ms`,
  );
  await server.close();
  rmSync(folder, { recursive: true });
}

if (values.role === 'flood') await flood();
else if (values.role === 'measure') await measure();
else await run();
