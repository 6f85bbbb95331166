/**
 * What TLS costs here, against a bare server of Node's that sends the same bytes in the same
 * pieces: CPU a delivered byte, CPU a connection, and bytes of an idle one. By hand, on a quiet
 * machine: `npm run build && node dist/scripts/tls-cost.js [fan-out|one|small|connects|idle]`.
 *
 * The bare server makes its pieces by itself (`alone`), or is sent them as the broker is, without
 * TLS, and gives each on to all (`fed`): what it costs to be woken by a socket is in both then. All
 * run at once and have their load in turns of half a second, so that a noisy machine treats them
 * alike.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, createServer, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { Authority } from '../bench/support/certificates.js';
import { preciseCpuNs } from '../bench/support/proc.js';
import { median } from '../bench/support/results.js';
import { connect, publish, subscribe } from '../test/support/packets.js';

const HOST = '127.0.0.1';
const SELF = fileURLToPath(import.meta.url);
const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
/** Of /proc: bytes of a page. */
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
/** Turns of each server: what compiles in the first is not what a delivery costs. */
const WARMUP_ROUNDS = 16;
const ROUNDS = 20;
const TURN_MS = 500;
/** After a load ends, until what it has left behind is sent. */
const SETTLE_MS = 100;
const CONNECTS = 250;
const CONNECTS_AT_ONCE = 16;
const IDLE = 5_000;

/** A server under test, in a process of its own. */
interface Peer {
  readonly process: ChildProcess;
  readonly port: number;
  /** Of the same broker, without TLS; 0: the server sends by itself. */
  readonly plainPort: number;
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

async function startBare(folder: string, load: Load | null, isFed: boolean): Promise<Peer> {
  const child = fork(SELF, ['bare', folder, JSON.stringify(load), String(isFed)]);
  const [[port, plainPort]] = (await once(child, 'message')) as [[number, number]];
  return { process: child, port, plainPort };
}

/** The bare server: answers what it is sent first, and sends pieces to all if it is told to. */
function serveBare(folder: string, load: Load | null, isFed: boolean): void {
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
  const sendAll = (piece: Buffer): void => {
    for (const client of clients) client.write(piece);
  };
  const feeder = createTcpServer((socket) => {
    // What the broker is sent first is no piece.
    socket.once('data', () => socket.on('data', sendAll));
  });
  const portOf = (each: typeof feeder): number => (each.address() as AddressInfo).port;
  server.listen(0, HOST, () => {
    feeder.listen(0, HOST, () => process.send!([portOf(server), isFed ? portOf(feeder) : 0]));
  });
  process.on('disconnect', () => process.exit());
  const piece = Buffer.alloc(load?.pieceBytes ?? 0, 1);
  let timer: NodeJS.Timeout | undefined;
  process.on('message', (isOn: boolean) => {
    clearInterval(timer);
    if (isOn) timer = setInterval(() => sendAll(piece), load?.everyMs);
  });
}

function open(port: number, packets: readonly Buffer[]): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: HOST, port, rejectUnauthorized: false });
    socket.on('error', reject);
    socket.write(Buffer.concat(packets));
    socket.once('data', () => resolve(socket));
  });
}

/** A turn of a server. @returns its figures, by their units. */
type Turn = () => Promise<Readonly<Record<string, number>>>;

/** Has a server send pieces, and cease. */
type Feed = (isOn: boolean) => void;

async function feedOf({ plainPort, process: child }: Peer, load: Load): Promise<Feed> {
  if (plainPort === 0) return (isOn) => child.send(isOn);
  const writer = connectTcp(plainPort, HOST);
  await once(writer, 'connect');
  writer.write(connect({ clientId: 'w' }));
  const payload = Buffer.alloc(Math.min(load.pieceBytes, 1_024) - 5, 1).toString('latin1');
  const frame = publish({ topic: 't', payload, qos: 0 });
  const count = Math.max(1, Math.round(load.pieceBytes / frame.length));
  const burst = Buffer.concat(Array.from({ length: count }, () => frame));
  let timer: NodeJS.Timeout | undefined;
  return (isOn) => {
    clearInterval(timer);
    if (isOn) timer = setInterval(() => writer.write(burst), load.everyMs);
  };
}

/** CPU a byte that readers get in a turn. */
async function bytesOf(peer: Peer, load: Load): Promise<Turn> {
  let got = 0;
  for (let n = 0; n < load.readers; n++) {
    const packets = [connect({ clientId: `r${n}` }), subscribe(1, ['t', 0])];
    const reader = await open(peer.port, packets);
    reader.on('data', (bytes: Buffer) => {
      got += bytes.length;
    });
  }
  const feed = await feedOf(peer, load);
  return async () => {
    const [cpu, bytes] = [preciseCpuNs(peer.process.pid!), got];
    feed(true);
    await sleep(TURN_MS);
    feed(false);
    await sleep(SETTLE_MS);
    return { 'ns a byte': (preciseCpuNs(peer.process.pid!) - cpu) / (got - bytes) };
  };
}

/**
 * Connections: handshake, CONNECT, CONNACK, close. Who makes them here takes longer for each than
 * most servers do: where it sets the pace the rates are alike, and CPU tells what there is to tell.
 */
function connectsOf(peer: Peer): Turn {
  return async () => {
    const [cpu, begin] = [preciseCpuNs(peer.process.pid!), performance.now()];
    let left = CONNECTS;
    const one = async (): Promise<void> => {
      while (left-- > 0) (await open(peer.port, [connect({ clientId: `c${left}` })])).destroy();
    };
    await Promise.all(Array.from({ length: CONNECTS_AT_ONCE }, one));
    const seconds = (performance.now() - begin) / 1_000;
    await sleep(SETTLE_MS);
    const spentNs = preciseCpuNs(peer.process.pid!) - cpu;
    return { 'us a connection': spentNs / 1e3 / CONNECTS, 'connections/s': CONNECTS / seconds };
  };
}

/** Resident bytes an idle connection. */
async function costOfIdle(peer: Peer): Promise<Readonly<Record<string, number>>> {
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
  return { 'bytes each': bytes };
}

/** The medians of all rounds, and what the broker costs beside the others: of the ratios, too. */
function tell(name: string, unit: string, figures: Readonly<Record<string, number[]>>): void {
  const said = Object.entries(figures).map(([kind, each]) => {
    const ratios = each.map((figure, round) => figures.broker[round] / figure);
    const beside = kind === 'broker' ? '' : `, ratio ${median(ratios).toFixed(2)}`;
    return `${kind} ${median(each).toPrecision(4)}${beside}`;
  });
  console.log(`${name}, ${unit}: ${said.join('; ')}`);
}

async function compare(folder: string, name: string): Promise<void> {
  const load = LOADS[name] ?? null;
  const peers: Record<string, Peer> = {
    broker: await startBroker(folder),
    alone: await startBare(folder, load, false),
  };
  if (load !== null) peers.fed = await startBare(folder, load, true);
  const turns: Record<string, Turn> = {};
  for (const [kind, peer] of Object.entries(peers)) {
    if (name === 'idle') turns[kind] = () => costOfIdle(peer);
    else turns[kind] = load === null ? connectsOf(peer) : await bytesOf(peer, load);
  }
  /** By unit, and then by server. */
  const figures: Record<string, Record<string, number[]>> = {};
  const warmup = name === 'idle' ? 0 : WARMUP_ROUNDS;
  const rounds = name === 'idle' ? 1 : warmup + ROUNDS;
  for (let round = 0; round < rounds; round++) {
    for (const [kind, turn] of Object.entries(turns)) {
      for (const [unit, figure] of Object.entries(await turn())) {
        figures[unit] ??= {};
        figures[unit][kind] ??= [];
        if (round >= warmup) figures[unit][kind].push(figure);
      }
    }
  }
  for (const [unit, each] of Object.entries(figures)) tell(name, unit, each);
  for (const { process: child } of Object.values(peers)) child.kill('SIGKILL');
}

async function main(wanted: readonly string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'surgemq-tls-cost-'));
  const { cert, key } = new Authority().issue({ name: 'localhost', hosts: ['localhost'] });
  writeFileSync(join(folder, 'cert.pem'), cert);
  writeFileSync(join(folder, 'key.pem'), key);
  const all = [...Object.keys(LOADS), 'connects', 'idle'];
  try {
    for (const name of wanted.length > 0 ? wanted : all) await compare(folder, name);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const [mode, folder, load, isFed] = process.argv.slice(2);
if (mode === 'bare') serveBare(folder, JSON.parse(load), isFed === 'true');
else {
  await main(process.argv.slice(2));
  process.exit();
}
