/**
 * What TLS costs here, against a bare server of Node's that sends the same bytes in the same
 * pieces: CPU a delivered byte, CPU a connection, and bytes of an idle one. By hand, on a quiet
 * machine: `npm run build && node dist/scripts/tls-cost.js [fan-out|one|small|connects|idle]`.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, createServer, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { Authority } from '../bench/support/certificates.js';
import { connect, publish, subscribe } from '../test/support/packets.js';

const HOST = '127.0.0.1';
const SELF = fileURLToPath(import.meta.url);
const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
/** Of /proc: clock ticks a second, and bytes of a page. */
const TICKS = 100;
const PAGE_BYTES = 4_096;

/** One kind of load on subscribers: a piece every so often to each. */
interface Load {
  readonly readers: number;
  readonly pieceBytes: number;
  readonly everyMs: number;
}
const LOADS: Readonly<Record<string, Load>> = {
  'fan-out': { readers: 20, pieceBytes: 32_768, everyMs: 4 },
  /** As fan-in has it, too: what 20 publishers send comes to one reader so. */
  one: { readers: 1, pieceBytes: 65_536, everyMs: 1 },
  small: { readers: 20, pieceBytes: 128, everyMs: 1 },
};
const LOAD_SECONDS = 6;
/** Before that: what compiles for the first seconds is not what a delivery costs. */
const WARMUP_SECONDS = 8;
const CONNECTS = 3_000;
const WARMUP_CONNECTS = 6_000;
const CONNECTS_AT_ONCE = 16;
const IDLE = 5_000;

/** A server under test, in a process of its own. */
interface Peer {
  readonly process: ChildProcess;
  readonly port: number;
  /** Of the same broker, without TLS; 0: the server sends by itself. */
  readonly plainPort: number;
}

function cpuSeconds({ process: { pid } }: Peer): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

function residentBytes({ process: { pid } }: Peer): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
}

async function startBroker(folder: string): Promise<Peer> {
  const child = spawn(
    process.execPath,
    [MAIN, 'serve', '--workers', '1', '--listen', `tls://${HOST}:0,tcp://${HOST}:0`].concat([
      '--tls-cert',
      join(folder, 'cert.pem'),
      '--tls-key',
      join(folder, 'key.pem'),
    ]),
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let text = '';
  for await (const chunk of child.stdout!) {
    text += String(chunk);
    const ports = [...text.matchAll(/(tls|tcp):\/\/127\.0\.0\.1:(\d+)/g)];
    if (ports.length < 2) continue;
    const portOf = (kind: string) => Number(ports.find(([, each]) => each === kind)![2]);
    return { process: child, port: portOf('tls'), plainPort: portOf('tcp') };
  }
  throw new Error(`the broker did not start: ${text}`);
}

async function startBare(folder: string, load: Load | undefined): Promise<Peer> {
  const child = fork(SELF, ['bare', folder, JSON.stringify(load ?? null)]);
  const [port] = (await once(child, 'message')) as [number];
  return { process: child, port, plainPort: 0 };
}

/** The bare server: answers what it is sent first, and sends pieces to all if it is told to. */
function serveBare(folder: string, load: Load | null): void {
  const clients = new Set<TLSSocket>();
  const server = createServer(
    {
      cert: readFileSync(join(folder, 'cert.pem')),
      key: readFileSync(join(folder, 'key.pem')),
    },
    (socket) => {
      clients.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => clients.delete(socket));
      socket.once('data', () => socket.write(Buffer.of(0x20, 2, 0, 0)));
      socket.resume();
    },
  );
  server.listen(0, HOST, () => process.send!((server.address() as { port: number }).port));
  process.on('disconnect', () => process.exit());
  if (load === null) return;
  const piece = Buffer.alloc(load.pieceBytes, 1);
  setInterval(() => {
    for (const client of clients) client.write(piece);
  }, load.everyMs);
}

function open(port: number, packets: readonly Buffer[]): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: HOST, port, rejectUnauthorized: false });
    socket.on('error', reject);
    socket.write(Buffer.concat(packets));
    socket.once('data', () => resolve(socket));
  });
}

/** Nanoseconds of CPU a byte that readers have got. */
async function costOfByte(peer: Peer, load: Load): Promise<number> {
  const readers: TLSSocket[] = [];
  let got = 0;
  for (let n = 0; n < load.readers; n++) {
    const packets = [connect({ clientId: `r${n}` }), subscribe(1, ['t', 0])];
    const reader = await open(peer.port, packets);
    reader.on('data', (bytes: Buffer) => {
      got += bytes.length;
    });
    readers.push(reader);
  }
  let timer: NodeJS.Timeout | undefined;
  const writer = peer.plainPort === 0 ? null : connectTcp(peer.plainPort, HOST);
  if (writer !== null) {
    await once(writer, 'connect');
    writer.write(connect({ clientId: 'w' }));
    const payload = Buffer.alloc(Math.min(load.pieceBytes, 1_024) - 5, 1).toString('latin1');
    const frame = publish({ topic: 't', payload, qos: 0 });
    const count = Math.max(1, Math.round(load.pieceBytes / frame.length));
    const burst = Buffer.concat(Array.from({ length: count }, () => frame));
    timer = setInterval(() => writer.write(burst), load.everyMs);
  }
  await sleep(WARMUP_SECONDS * 1_000);
  const [cpu, bytes] = [cpuSeconds(peer), got];
  await sleep(LOAD_SECONDS * 1_000);
  const cost = ((cpuSeconds(peer) - cpu) * 1e9) / (got - bytes);
  clearInterval(timer);
  writer?.destroy();
  for (const reader of readers) reader.destroy();
  return cost;
}

/** Microseconds of CPU a connection: handshake, CONNECT, CONNACK, close. */
async function costOfConnect(peer: Peer): Promise<number> {
  const round = async (count: number): Promise<void> => {
    let left = count;
    const one = async (): Promise<void> => {
      while (left-- > 0) (await open(peer.port, [connect({ clientId: `c${left}` })])).destroy();
    };
    await Promise.all(Array.from({ length: CONNECTS_AT_ONCE }, one));
  };
  await round(WARMUP_CONNECTS);
  const cpu = cpuSeconds(peer);
  await round(CONNECTS);
  return ((cpuSeconds(peer) - cpu) * 1e6) / CONNECTS;
}

/** Resident bytes an idle connection. */
async function costOfIdle(peer: Peer): Promise<number> {
  const sockets: TLSSocket[] = [];
  const add = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      sockets.push(await open(peer.port, [connect({ clientId: `i${sockets.length}` })]));
    }
  };
  await add(200);
  await sleep(500);
  const before = residentBytes(peer);
  await add(IDLE);
  await sleep(12_000);
  const bytes = (residentBytes(peer) - before) / IDLE;
  for (const socket of sockets) socket.destroy();
  return bytes;
}

async function main(wanted: readonly string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'surgemq-tls-cost-'));
  const { cert, key } = new Authority().issue({ name: 'localhost', hosts: ['localhost'] });
  writeFileSync(join(folder, 'cert.pem'), cert);
  writeFileSync(join(folder, 'key.pem'), key);
  const measures: Record<string, (peer: Peer) => Promise<number>> = {
    'fan-out': (peer) => costOfByte(peer, LOADS['fan-out']),
    one: (peer) => costOfByte(peer, LOADS.one),
    small: (peer) => costOfByte(peer, LOADS.small),
    connects: costOfConnect,
    idle: costOfIdle,
  };
  const units: Record<string, string> = { connects: 'us a connection', idle: 'bytes each' };
  try {
    for (const name of wanted.length > 0 ? wanted : Object.keys(measures)) {
      const rounds = name === 'idle' ? 1 : 3;
      for (let round = 0; round < rounds; round++) {
        const figures: number[] = [];
        for (const start of [() => startBroker(folder), () => startBare(folder, LOADS[name])]) {
          const peer = await start();
          figures.push(await measures[name](peer));
          peer.process.kill('SIGKILL');
        }
        const [broker, bare] = figures.map((figure) => figure.toPrecision(4));
        const unit = units[name] ?? 'ns a byte';
        const ratio = (figures[0] / figures[1]).toFixed(2);
        console.log(`${name}: broker ${broker}, bare ${bare} ${unit}, ratio ${ratio}`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const [mode, folder, load] = process.argv.slice(2);
if (mode === 'bare') serveBare(folder, JSON.parse(load));
else {
  await main(process.argv.slice(2));
  process.exit();
}
