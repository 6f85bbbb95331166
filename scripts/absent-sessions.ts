/**
 * What messages for many absent clients cost others, and what stays of it:
 * `node dist/scripts/absent-sessions.js --workers 1 --sessions 10000 --seconds 8 --end clean`.
 * One publisher of QoS 1 as fast as it can to one topic (`--topics 1`; or by turns to as many) that
 * all sessions have subscribed to (or an equal part of them to each), payloads of `--bytes`. A pair
 * beside it has 100 QoS 1 messages a second. Then the sessions end: by CONNECT with clean session
 * (`clean`), or their clients come back and take all of it (`drain`). Memory is told at each step.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type BrokerUnderTest, startBroker } from '../bench/support/broker-process.js';
import { OURS } from '../bench/support/peers.js';
import { publish } from '../test/support/packets.js';
import { TestClient, Type } from '../test/support/test-client.js';

const HOST = '127.0.0.1';
const IDS = 60_000;
const MIB = 1024 * 1024;
/** After all has ended: what is collected and given back when nothing happens any more. */
const SETTLE_MS = 8_000;

interface Load {
  readonly port: number;
  readonly seconds: number;
  readonly topics: number;
  readonly bytes: number;
}

/** Publishes as fast as it is acknowledged. */
async function flood({ port, seconds, topics, bytes }: Load): Promise<string> {
  const client = await TestClient.connect({ host: HOST, port }, { clientId: 'flooder' });
  const ahead = Math.max(16, Math.min(1_000, Math.floor((4 * MIB) / (bytes + 20))));
  const payload = Buffer.alloc(bytes, 'x');
  const until = performance.now() + seconds * 1_000;
  let sent = 0;
  let acked = 0;
  const send = (): void => {
    const frames: Buffer[] = [];
    for (; sent < acked + ahead; sent++) {
      const topic = `absent/${Math.floor(sent / 16) % topics}`;
      frames.push(publish({ topic, payload, qos: 1, packetId: (sent % IDS) + 1 }));
    }
    client.raw.send(...frames);
  };
  const done = new Promise<void>((resolve) => {
    client.raw.onPacket = (packet) => {
      if (packet[0] >> 4 !== Type.puback) return;
      acked++;
      if (performance.now() >= until) resolve();
      else if (sent - acked <= ahead / 2) send();
    };
  });
  send();
  await Promise.race([done, delay(seconds * 1_000 + 20_000)]);
  client.raw.onPacket = null;
  return `flooder ${Math.round(acked / seconds)} messages/s`;
}

async function pair({ port, seconds }: Load): Promise<string> {
  const at = { host: HOST, port };
  const readers: TestClient[] = [];
  const latency = createHistogram();
  // One on each of two workers, where there are as many.
  for (const n of [1, 2]) {
    const reader = await TestClient.connect(at, { clientId: `pair-reader-${n}` });
    await reader.subscribe([`pair/${n}`, 1]);
    reader.onMessage = ({ payload }) => {
      reader.messages.length = 0;
      latency.record(Math.max(1, Math.round((performance.now() - Number(payload)) * 1_000)));
    };
    readers.push(reader);
  }
  const publisher = await TestClient.connect(at, { clientId: 'pair-publisher' });
  const until = performance.now() + seconds * 1_000;
  for (let sent = 0; performance.now() < until; sent++) {
    const payload = `${performance.now()}`;
    const topic = `pair/${(sent % 2) + 1}`;
    publisher.raw.send(publish({ topic, payload, qos: 1, packetId: (sent % IDS) + 1 }));
    await delay(10);
  }
  await delay(1_000);
  const ms = (us: number) => (us / 1_000).toFixed(1);
  const [p50, p99] = [latency.percentile(50), latency.percentile(99)].map(ms);
  const longest = `longest ${ms(latency.max)} ms, ${latency.count} messages`;
  return `pair p50 ${p50} ms, p99 ${p99} ms, ${longest}`;
}

const ROLES: Record<string, (load: Load) => Promise<string>> = { flood, pair };

/** Does `what` for each number below `count`, some at a time. */
async function forAll(count: number, what: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const workers = Array.from({ length: 20 }, async () => {
    while (next < count) await what(next++);
  });
  await Promise.all(workers);
}

function start(role: string, load: Load): Promise<string> {
  const child: ChildProcess = fork(fileURLToPath(import.meta.url), [role, JSON.stringify(load)]);
  return once(child, 'message').then(([said]) => String(said));
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    workers: { type: 'string', default: '1' },
    sessions: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '8' },
    topics: { type: 'string', default: '1' },
    bytes: { type: 'string', default: '100' },
    end: { type: 'string', default: 'clean' },
  },
});

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function sayMemory(broker: BrokerUnderTest, when: string): Promise<void> {
  const stats = await broker.stats();
  const mib = (bytes: number) => Math.round(bytes / MIB);
  say(
    `${when}: resident ${mib(broker.residentBytes() ?? 0)} MiB, peak ` +
      `${mib(broker.peakBytes() ?? 0)} MiB, ${stats?.sessions} sessions, ` +
      `${stats?.queuedMessages} queued, ${mib(stats?.queuedBytes ?? 0)} MiB counted, ` +
      `longest delay ${stats?.eventLoopDelayMs.toFixed(0)} ms`,
  );
}

async function run(): Promise<void> {
  const sessions = Number(values.sessions);
  const [topics, bytes, seconds] = [values.topics, values.bytes, values.seconds].map(Number);
  const how = OURS.kind === 'started' ? OURS.how : null;
  const broker = await startBroker('surgemq', how!, Number(values.workers), false);
  const at = { host: HOST, port: broker.port };
  const load = { port: broker.port, seconds, topics, bytes };
  try {
    await sayMemory(broker, 'started');
    await forAll(sessions, async (n) => {
      const client = await TestClient.connect(at, { clientId: `away-${n}`, cleanSession: false });
      await client.subscribe([`absent/${n % topics}`, 1]);
      await client.disconnect();
    });
    await sayMemory(broker, 'sessions absent');
    const said = [start('pair', load), start('flood', load)];
    for (const line of await Promise.all(said)) say(line);
    await sayMemory(broker, 'queued');
    if (values.end === 'none') return;
    await forAll(sessions, async (n) => {
      const cleanSession = values.end === 'clean';
      const client = await TestClient.connect(at, { clientId: `away-${n}`, cleanSession });
      client.onMessage = () => {
        client.messages.length = 0;
      };
      if (!cleanSession) {
        await client.unsubscribe(`absent/${n % topics}`);
        await client.ping();
      }
      await client.disconnect();
    });
    await sayMemory(broker, `ended by ${values.end}`);
    await delay(SETTLE_MS);
    await sayMemory(broker, `${SETTLE_MS / 1_000} s later`);
  } finally {
    await broker.close();
  }
}

const role = ROLES[positionals[0] ?? ''];
if (role === undefined) await run();
else {
  process.send?.(await role(JSON.parse(positionals[1]) as Load));
  process.exit();
}
