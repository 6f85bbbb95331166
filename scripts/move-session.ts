/**
 * What the move of a large session between shards costs others:
 * `node dist/scripts/move-session.js --workers 2 --filters 100000 --mib 1024 --moves 6`. A session
 * with so many filters of some 207 bytes and so much queued at QoS 1 is reconnected to again and
 * again, which moves it to another shard each time it lands there (about every second time). A pair
 * beside it has 100 QoS 1 messages a second to a reader on each shard. Says for each move how long
 * its CONNACK took, and how long the pair's messages did until then and in the time behind.
 * `--sessions mem` keeps the session in memory.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startBroker } from '../bench/support/broker-process.js';
import { OURS } from '../bench/support/peers.js';
import { publish } from '../test/support/packets.js';
import { TestClient, Type } from '../test/support/test-client.js';

const HOST = '127.0.0.1';
const IDS = 60_000;
const MIB = 1024 * 1024;
const MESSAGE_BYTES = 16 * 1024;
const FILTERS_PER_SUBSCRIBE = 500;
/** Behind a CONNACK: what is left of the move on the shard that the session has left. */
const BEHIND_MS = 1_800;

/** A message of the pair: when it was published, in milliseconds since 1970, and its latency. */
type Sample = readonly [at: number, latencyMs: number];

function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Publishes until it is told to stop, and then tells what its messages took. */
async function pair(port: number): Promise<void> {
  const at = { host: HOST, port };
  const samples: Sample[] = [];
  for (const n of [1, 2]) {
    const reader = await TestClient.connect(at, { clientId: `pair-reader-${n}` });
    await reader.subscribe([`pair/${n}`, 1]);
    reader.onMessage = ({ payload }) => {
      reader.messages.length = 0;
      samples.push([Number(payload), now() - Number(payload)]);
    };
  }
  const publishers = [
    await TestClient.connect(at, { clientId: 'pair-publisher-1' }),
    await TestClient.connect(at, { clientId: 'pair-publisher-2' }),
  ];
  let isOver = false;
  process.once('message', () => {
    isOver = true;
  });
  process.send?.('ready');
  for (let sent = 0; !isOver; sent++) {
    // Each publisher to each reader: on one shard, and from one to the other.
    const topic = `pair/${(sent % 2) + 1}`;
    const { raw } = publishers[(sent >> 1) % 2]!;
    raw.send(publish({ topic, payload: `${now()}`, qos: 1, packetId: (sent % IDS) + 1 }));
    await delay(10);
  }
  await delay(1_000);
  process.send?.(samples, () => process.exit());
}

function percentile(sorted: readonly number[], part: number): string {
  if (sorted.length === 0) return '-';
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!.toFixed(1);
}

function told(samples: readonly Sample[], from: number, to: number): string {
  const latencies = samples.filter(([at]) => at >= from && at < to).map(([, ms]) => ms);
  latencies.sort((a, b) => a - b);
  const [p50, p99, longest] = [0.5, 0.99, 1].map((part) => percentile(latencies, part));
  return `p50 ${p50}, p99 ${p99}, longest ${longest} ms of ${latencies.length}`;
}

/** Queues messages of 16 KiB for the session that is away. */
async function queue(port: number, mib: number): Promise<void> {
  const client = await TestClient.connect({ host: HOST, port }, { clientId: 'feeder' });
  const payload = Buffer.alloc(MESSAGE_BYTES - 32, 'x');
  const count = (mib * MIB) / MESSAGE_BYTES;
  let sent = 0;
  let acked = 0;
  const done = new Promise<void>((resolve) => {
    const send = (): void => {
      for (; sent < count && sent < acked + 256; sent++) {
        client.raw.send(publish({ topic: 'm/x', payload, qos: 1, packetId: (sent % IDS) + 1 }));
      }
      if (acked >= count) resolve();
    };
    client.raw.onPacket = (packet) => {
      if (packet[0] >> 4 !== Type.puback) return;
      acked++;
      if (sent - acked <= 128) send();
    };
    send();
  });
  await done;
  await client.raw.cut();
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    workers: { type: 'string', default: '2' },
    filters: { type: 'string', default: '100000' },
    mib: { type: 'string', default: '1024' },
    moves: { type: 'string', default: '6' },
    sessions: { type: 'string', default: 'lmdb' },
  },
});

async function makeSession(port: number): Promise<void> {
  const at = { host: HOST, port };
  const moving = await TestClient.connect(at, { clientId: 'moving', cleanSession: false });
  const filters = Number(values.filters);
  const tail = 'x'.repeat(200);
  for (let first = 0; first < filters; first += FILTERS_PER_SUBSCRIBE) {
    const length = Math.min(FILTERS_PER_SUBSCRIBE, filters - first);
    const asked = Array.from({ length }, (_, n): [string, number] => [`f/${first + n}/${tail}`, 1]);
    await moving.subscribe(...asked);
  }
  await moving.subscribe(['m/#', 1]);
  await moving.disconnect();
}

async function run(): Promise<void> {
  const how = OURS.how;
  const environment: typeof how.environment = (place) => ({
    ...how.environment(place),
    SURGEMQ_SESSIONS: values.sessions,
    SURGEMQ_MAX_QUEUED_BYTES: '3GiB',
    SURGEMQ_MAX_QUEUED_TOTAL_BYTES: '12GiB',
    SURGEMQ_MAX_QUEUED_MESSAGES: '10000000',
    SURGEMQ_MAX_SUBSCRIPTIONS: '200000',
    SURGEMQ_MAX_LOOP_DELAY: '0',
  });
  const broker = await startBroker(
    'surgemq',
    { ...how, environment },
    Number(values.workers),
    false,
  );
  const { port } = broker;
  try {
    await makeSession(port);
    await queue(port, Number(values.mib));
    const child: ChildProcess = fork(fileURLToPath(import.meta.url), ['pair', `${port}`]);
    await once(child, 'message');
    await delay(2_000);
    const moves: { begun: number; answered: number }[] = [];
    for (let move = 0; move < Number(values.moves); move++) {
      const begun = now();
      const client = await TestClient.connect(
        { host: HOST, port },
        { clientId: 'moving', cleanSession: false, acknowledge: false },
      );
      moves.push({ begun, answered: now() });
      await client.raw.cut();
      await delay(BEHIND_MS + 500);
    }
    child.send('stop');
    const [samples] = (await once(child, 'message')) as [Sample[]];
    const before = moves[0]!.begun;
    process.stdout.write(`before: ${told(samples, 0, before)}\n`);
    for (const { begun, answered } of moves) {
      process.stdout.write(
        `CONNACK after ${(answered - begun).toFixed(0)} ms: ${told(samples, begun, answered)}; ` +
          `behind it ${told(samples, answered, answered + BEHIND_MS)}\n`,
      );
    }
  } finally {
    await broker.close();
  }
}

if (positionals[0] === 'pair') await pair(Number(positionals[1]));
else await run();
