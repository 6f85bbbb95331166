/**
 * What MQTT 5.0 without properties costs the broker beside 3.1.1: CPU a delivery at QoS 0, of
 * clients of both on one broker that take turns of 60 ms, so that a noisy machine treats them
 * alike. For several topics, as their lengths decide how frames lie in the processor's words; and
 * for 3.1.1 with one byte more a frame, which is what the empty property block takes.
 * By hand, on Linux: `npm run build && node dist/scripts/protocol-cost.js [workers]
 * [publishers:subscribers] [rounds]`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as dial, type Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { pinGenerator } from '../bench/support/broker-process.js';
import { preciseCpuNs } from '../bench/support/proc.js';
import { median } from '../bench/support/results.js';
import { connect, publish, subscribe } from '../test/support/packets.js';
import { connect5, publish5, subscribe5 } from '../test/support/packets5.js';

const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const HOST = '127.0.0.1';
const TURN_MS = 60;
const WARMUP_TURNS = 8;
const CHUNK_BYTES = 65_536;
/** Chunks that are on their way at a time, of all publishers together. */
const CHUNKS = 8;
const PAYLOAD = 'x'.repeat(64);
/** Of lengths that follow each other. */
const TOPICS = ['bench/t', 'bench/to', 'bench/top', 'bench/topi', 'bench/topic', 'bench/topics'];

type Version = 4 | 5;

/** Clients of one version, on a topic of their own. */
interface Group {
  readonly publishers: readonly Peer[];
  readonly subscribers: readonly Peer[];
  readonly frameBytes: number;
  /** Whole frames. */
  readonly chunk: Buffer;
}

/** A connection, and what has come on it. */
interface Peer {
  readonly socket: Socket;
  bytes: number;
  onBytes: () => void;
}

async function open(port: number, packet: Buffer): Promise<Peer> {
  const buffer = Buffer.allocUnsafe(4 * CHUNK_BYTES);
  const callback = (length: number): boolean => {
    peer.bytes += length;
    peer.onBytes();
    return true;
  };
  const socket = dial({ port, host: HOST, onread: { buffer, callback } });
  const peer: Peer = { socket, bytes: 0, onBytes: () => {} };
  socket.setNoDelay(true);
  await once(socket, 'connect');
  await ask(peer, packet);
  return peer;
}

/** Sends a packet, and waits for what answers it. */
async function ask(peer: Peer, packet: Buffer): Promise<void> {
  const before = peer.bytes;
  peer.socket.write(packet);
  while (peer.bytes === before) await more([peer]);
}

function more(peers: readonly Peer[]): Promise<void> {
  return new Promise((resolve) => {
    for (const peer of peers) peer.onBytes = resolve;
  });
}

async function makeGroup(
  port: number,
  version: Version,
  topic: string,
  publishers: number,
  subscribers: number,
): Promise<Group> {
  const hello = (clientId: string) =>
    version === 5 ? connect5({ clientId }) : connect({ clientId });
  const made = { publishers: [] as Peer[], subscribers: [] as Peer[] };
  for (let n = 0; n < subscribers; n++) {
    const peer = await open(port, hello(`${topic} ${version} s${n}`));
    await ask(peer, version === 5 ? subscribe5(1, [[topic, 0]]) : subscribe(1, [topic, 0]));
    made.subscribers.push(peer);
  }
  for (let n = 0; n < publishers; n++)
    made.publishers.push(await open(port, hello(`${topic} ${version} p${n}`)));
  const message = { topic, payload: PAYLOAD, qos: 0 };
  const frame = version === 5 ? publish5(message) : publish(message);
  const frames = Math.floor(CHUNK_BYTES / frame.length);
  const chunk = Buffer.concat(Array.from({ length: frames }, () => frame));
  return { ...made, frameBytes: frame.length, chunk };
}

/** Publishes for a turn. @returns CPU of the broker, in nanoseconds a delivery. */
async function turn(pid: number, group: Group): Promise<number> {
  const { publishers, subscribers, chunk, frameBytes } = group;
  const each = Math.max(1, Math.floor(CHUNKS / publishers.length));
  const got = () => subscribers.reduce((sum, { bytes }) => sum + bytes, 0);
  const [before, cpu, end] = [got(), preciseCpuNs(pid), performance.now() + TURN_MS];
  let due = 0;
  const untilLeft = async (bytes: number): Promise<void> => {
    while (got() - before < due - bytes) await more(subscribers);
  };
  const round = each * publishers.length * chunk.length * subscribers.length;
  while (performance.now() < end) {
    const written = publishers.flatMap(({ socket }) =>
      Array.from({ length: each }, () => new Promise((done) => socket.write(chunk, done))),
    );
    due += round;
    await Promise.all(written);
    await untilLeft(2 * round);
  }
  await untilLeft(0);
  return (preciseCpuNs(pid) - cpu) / (due / frameBytes);
}

/** @returns the median of the ratios of two turns that follow each other, of `b` to `a`. */
async function compare(pid: number, a: Group, b: Group, rounds: number): Promise<number> {
  for (let n = 0; n < WARMUP_TURNS; n++) {
    await turn(pid, a);
    await turn(pid, b);
  }
  const ratios: number[] = [];
  for (let n = 0; n < rounds; n++) {
    const isFirst = n % 2 === 0;
    const first = await turn(pid, isFirst ? a : b);
    const second = await turn(pid, isFirst ? b : a);
    ratios.push(isFirst ? second / first : first / second);
  }
  for (const { socket } of [a, b].flatMap((each) => [...each.publishers, ...each.subscribers]))
    socket.destroy();
  return median(ratios);
}

async function startBroker(workers: number): Promise<{ child: ChildProcess; port: number }> {
  const options = ['serve', '--workers', String(workers), '--sessions', 'mem'];
  const args = [MAIN, ...options, '--listen', `tcp://${HOST}:0`];
  const isPinned = workers < availableParallelism();
  const command = isPinned ? ['taskset', '-c', `0-${workers - 1}`] : [];
  const [program, ...rest] = [...command, process.execPath, ...args];
  const child = spawn(program!, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const text of child.stdout!) {
    const port = /tcp:\/\/127\.0\.0\.1:(\d+)/.exec(String(text))?.[1];
    if (port === undefined) continue;
    if (isPinned) pinGenerator(1);
    child.stdout!.resume();
    return { child, port: Number(port) };
  }
  throw new Error('the broker did not start');
}

async function main([workers = '1', clients = '1:1', rounds = '60']: string[]): Promise<void> {
  const [publishers = 1, subscribers = 1] = clients.split(':').map(Number);
  const { child, port } = await startBroker(Number(workers));
  const means = { version5: 1, longer: 1 };
  try {
    for (const topic of TOPICS) {
      const group = (version: Version, name: string) =>
        makeGroup(port, version, name, publishers, subscribers);
      const count = Number(rounds);
      const version5 = await compare(
        child.pid!,
        await group(4, `${topic}a`),
        await group(5, `${topic}b`),
        count,
      );
      const longer = await compare(
        child.pid!,
        await group(4, `${topic}c`),
        await group(4, `${topic}dd`),
        count,
      );
      means.version5 *= version5 ** (1 / TOPICS.length);
      means.longer *= longer ** (1 / TOPICS.length);
      console.log(
        `${topic}: 5.0 x ${version5.toFixed(3)}, 3.1.1 one byte longer x ${longer.toFixed(3)}`,
      );
    }
  } finally {
    child.kill('SIGTERM');
  }
  const { version5, longer } = means;
  console.log(`mean: 5.0 x ${version5.toFixed(3)}, 3.1.1 one byte longer x ${longer.toFixed(3)}`);
}

await main(process.argv.slice(2));
process.exit(0);
