/**
 * What slow readers cost others:
 * `node dist/scripts/slow-readers.js --workers 2 --seconds 20 a b c`. Starts a broker
 * (`--broker mosquitto` for that one) for each case, and says how long the messages of a QoS 0 pair
 * beside them take, the first 6 seconds apart.
 *
 * a: two flooders and a reader of `#` that takes 0.9 MB every 1.5 s; the pair has 200 messages a
 *    second.
 * b: the same with three readers of `#` that read nothing, one of which reconnects every 0.7 s.
 * c: a feed of 7 MB a second with a reader that keeps up, and one that takes 640 kB a second.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { join } from 'node:path';
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type BrokerCommand, startBroker } from '../bench/support/broker-process.js';
import { OURS } from '../bench/support/peers.js';
import { connect, publish, subscribe } from '../test/support/packets.js';
import { TestClient } from '../test/support/test-client.js';

const HOST = '127.0.0.1';
/** In which the 2 s are used up that slow readers may be waited for. */
const WARM_UP_MS = 6_000;

/** Mosquitto as it comes: it drops what a slow reader does not take. */
const MOSQUITTO: BrokerCommand = {
  transports: ['tcp'],
  command({ port, folder }) {
    const file = join(folder, 'mosquitto.conf');
    writeFileSync(file, `listener ${port} ${HOST}\nallow_anonymous true\nset_tcp_nodelay true\n`);
    return ['mosquitto', '-c', file];
  },
  environment: () => ({ PATH: '/usr/sbin:/usr/bin' }),
};

async function open(port: number, ...packets: Buffer[]): Promise<Socket> {
  const socket = connectSocket(port, HOST);
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(Buffer.concat([connect({ clientId: '' }), ...packets]));
  return socket;
}

/** Publishes QoS 0 to `flood/n` as fast as the broker reads. */
async function flood(port: number, n: number): Promise<void> {
  const socket = await open(port);
  const frame = publish({ topic: `flood/${n}`, payload: Buffer.alloc(1_000) });
  const batch = Buffer.concat(new Array<Buffer>(60).fill(frame));
  const fill = (): void => {
    while (socket.write(batch));
  };
  socket.on('drain', fill).resume();
  fill();
}

/** Reads `bytes` of `filter` every `periodMs`, all at once; 0: nothing. */
async function readSlowly(
  port: number,
  filter: string,
  bytes: number,
  periodMs: number,
): Promise<Socket> {
  const socket = await open(port, subscribe(1, [filter, 0]));
  let left = bytes;
  socket.pause();
  socket.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left <= 0) socket.pause();
  });
  if (bytes > 0) {
    setInterval(() => {
      left = Math.min(bytes, left + bytes);
      if (left > 0) socket.resume();
    }, periodMs);
  }
  return socket;
}

/** Three readers that read nothing, of which one reconnects now and then. */
async function reconnectInTurn(port: number): Promise<void> {
  const sockets: Socket[] = [];
  for (;;) {
    if (sockets.length === 3) sockets.shift()?.destroy();
    sockets.push(await readSlowly(port, '#', 0, 0));
    await delay(700);
  }
}

/** Publishes `perTick` messages every 5 ms to a reader in this process, and says how they did. */
async function pair(port: number, seconds: number, perTick: number, bytes: number): Promise<void> {
  const at = { host: HOST, port };
  const reader = await TestClient.connect(at, { clientId: 'pair-reader' });
  await reader.subscribe(['pair/x', 0]);
  const publisher = await TestClient.connect(at, { clientId: 'pair-publisher' });
  const latency = createHistogram();
  const from = performance.now();
  let received = 0;
  reader.onMessage = ({ payload }) => {
    received++;
    reader.messages.length = 0;
    const sentAt = Number.parseFloat(payload);
    if (sentAt - from < WARM_UP_MS) return;
    latency.record(Math.max(1, Math.round((performance.now() - sentAt) * 1_000)));
  };
  let sent = 0;
  while (performance.now() - from < seconds * 1_000) {
    const frames = [];
    const due = Math.floor((performance.now() - from) / 5) * perTick;
    for (; sent < due; sent++) {
      const payload = `${performance.now()} `.padEnd(bytes);
      frames.push(publish({ topic: 'pair/x', payload }));
    }
    if (frames.length > 0) publisher.raw.send(...frames);
    await delay(1);
  }
  await delay(1_000);
  const ms = (us: number) => (us / 1_000).toFixed(1);
  const [p50, p99] = [latency.percentile(50), latency.percentile(99)].map(ms);
  process.send?.(
    `p50 ${p50} ms, p99 ${p99} ms, longest ${ms(latency.max)} ms, ${received} of ${sent} received`,
  );
}

const ROLES: Record<string, (port: number, seconds: number) => Promise<unknown>> = {
  flooder1: (port) => flood(port, 1),
  flooder2: (port) => flood(port, 2),
  sips: (port) => readSlowly(port, '#', 900_000, 1_500),
  stalls: (port) => reconnectInTurn(port),
  trickles: (port) => readSlowly(port, 'pair/#', 32_000, 50),
  pair: (port, seconds) => pair(port, seconds, 1, 100),
  feed: (port, seconds) => pair(port, seconds, 5, 7_000),
};
const CASES: Record<string, readonly string[]> = {
  a: ['sips', 'flooder1', 'flooder2', 'pair'],
  b: ['stalls', 'flooder1', 'flooder2', 'pair'],
  c: ['trickles', 'feed'],
};

async function runCase(name: string, brokerName: string, workers: number, seconds: number) {
  const how = brokerName === 'mosquitto' ? MOSQUITTO : OURS.kind === 'started' ? OURS.how : null;
  const broker = await startBroker(brokerName, how!, workers, false);
  const children: ChildProcess[] = [];
  try {
    for (const role of CASES[name]) {
      const args = [role, String(broker.port), String(seconds)];
      children.push(fork(fileURLToPath(import.meta.url), args));
      await delay(300);
    }
    const [said] = (await once(children[children.length - 1], 'message')) as [string];
    const stats = await broker.stats();
    const lost = stats === null ? '' : `, ${stats.droppedSlowConsumer} dropped`;
    process.stdout.write(`${name}, ${brokerName}, ${workers} workers: ${said}${lost}\n`);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await broker.close();
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    workers: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '20' },
    broker: { type: 'string', default: 'surgemq' },
  },
});
const role = ROLES[positionals[0] ?? ''];
if (role !== undefined) {
  await role(Number(positionals[1]), Number(positionals[2]));
} else {
  for (const name of positionals.length > 0 ? positionals : Object.keys(CASES)) {
    await runCase(name, values.broker, Number(values.workers), Number(values.seconds));
  }
}
