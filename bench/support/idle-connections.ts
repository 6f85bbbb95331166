/**
 * Connections that only connect, past Node's sockets: a net.Socket costs several times what a
 * broker needs to take a connection, and would be what is measured. Blocking calls of the C
 * library, in a thread that has nothing else to do; on Linux and to an IPv4 address, elsewhere
 * sockets have to do.
 */
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isIPv4 } from 'node:net';
import { BenchError } from './bench-error.js';
import { type ClientPlan, monotonicNs, type Span } from './load-plan.js';
import { connectPacket, readConnack } from './packets.js';

/** Numbers of Linux' headers. */
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const IPPROTO_IP = 0;
const IP_BIND_ADDRESS_NO_PORT = 24;
/**
 * Source addresses taken in turn on the loopback interface: a search for a free port gets slow when
 * many of one address are in use, or were a minute ago.
 */
const SOURCE_ADDRESSES = 200;
/** Connections whose CONNACK is not awaited before the next is opened. */
const AHEAD = 64;
const CONNACK_BYTES_MIN = 4;
/** Room for a CONNACK: one of 5.0 has properties, of which a broker sends a few. */
const CONNACK_BYTES_MAX = 4_096;
const MSG_DONTWAIT = 0x40;
const EAGAIN = 11;

type CFunction = (...parameters: (number | Buffer)[]) => number;

interface Bindings {
  readonly socket: CFunction;
  readonly errno: () => number;
  readonly bind: CFunction;
  readonly connect: CFunction;
  readonly recv: CFunction;
  readonly setsockopt: CFunction;
  /** As opened so closed: Node's closeSync warns of descriptors that it has not opened. */
  readonly close: CFunction;
}

function load(): Bindings {
  const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi');
  const library = koffi.load(null);
  return {
    errno: () => koffi.errno(),
    socket: library.func('int socket(int domain, int type, int protocol)'),
    bind: library.func('int bind(int fd, const void *address, int length)'),
    connect: library.func('int connect(int fd, const void *address, int length)'),
    recv: library.func('long recv(int fd, void *bytes, size_t length, int flags)'),
    setsockopt: library.func(
      'int setsockopt(int fd, int level, int name, const void *value, int length)',
    ),
    close: library.func('int close(int fd)'),
  };
}

/** Whether it can be done here. */
export function canConnectIdle(host: string): boolean {
  return process.platform === 'linux' && isIPv4(host);
}

/** A struct sockaddr_in. */
function socketAddress(host: string, port: number): Buffer {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set(host.split('.').map(Number), 4);
  return address;
}

/** Addresses to connect from, to `host`; none: the system's choice. */
function sourceAddresses(host: string): Buffer[] {
  if (!host.startsWith('127.')) return [];
  return Array.from({ length: SOURCE_ADDRESSES }, (_, n) => socketAddress(`127.0.0.${n + 2}`, 0));
}

/** What all connections of a call have in common. */
interface Opening {
  readonly bindings: Bindings;
  readonly to: Buffer;
  readonly from: readonly Buffer[];
  /** A struct timeval. */
  readonly timeout: Buffer;
}

/** How often a look is taken for CONNACKs until the next connection is due, in milliseconds. */
const LOOK_MS = 0.2;
const SLEEPER = new Int32Array(new SharedArrayBuffer(4));
const ONE = Buffer.from([1, 0, 0, 0]);

/** Connections of one thread. */
export class IdleConnections {
  readonly #descriptors: number[] = [];
  readonly #connack = Buffer.alloc(CONNACK_BYTES_MAX);
  #bindings: Bindings | null = null;

  /**
   * Opens one connection for each client, and blocks until the last CONNACK.
   * @param ratePerSecond how many are begun in a second; 0: as fast as it goes.
   * @param onConnack told of each when it was begun, in nanoseconds of the monotonic clock.
   * @throws BenchError when one is refused, or not answered in time.
   */
  open(
    host: string,
    port: number,
    clients: readonly ClientPlan[],
    timeoutMs: number,
    ratePerSecond: number,
    onConnack: (sentAt: number) => void,
  ): Omit<Span, 'latency'> {
    const bindings = load();
    this.#bindings = bindings;
    const timeout = Buffer.alloc(16);
    timeout.writeBigInt64LE(BigInt(Math.max(1, Math.ceil(timeoutMs / 1_000))), 0);
    const to = socketAddress(host, port);
    const opening = { bindings, to, from: sourceAddresses(host), timeout };
    const packets = clients.map(connectPacket);
    const from = monotonicNs();
    const sentAt = new Float64Array(packets.length);
    let answered = 0;
    const intervalNs = ratePerSecond === 0 ? 0 : 1e9 / ratePerSecond;
    for (let opened = 0; answered < packets.length; ) {
      const now = monotonicNs();
      const due = intervalNs === 0 ? now : from + opened * intervalNs;
      const isDue = opened < packets.length && due <= now;
      if (isDue) {
        // At a set rate from when it should have been: one that is begun late counts it.
        sentAt[opened] = due;
        this.#open(opening, packets[opened], opened);
        opened++;
      }
      // In the order of the CONNECTs, as brokers answer all but a few: the first that is not there
      // ends the look.
      let mayWait = opened === packets.length || opened - answered > AHEAD;
      while (
        answered < opened &&
        this.#takeConnack(bindings, answered, mayWait, clients[answered])
      ) {
        onConnack(sentAt[answered++]);
        mayWait = opened === packets.length;
      }
      if (opened < packets.length && !isDue) {
        const untilMs = (due - now) / 1e6;
        Atomics.wait(SLEEPER, 0, 0, opened > answered ? Math.min(LOOK_MS, untilMs) : untilMs);
      }
    }
    return { from, to: monotonicNs() };
  }

  #open({ bindings, to, from, timeout }: Opening, packet: Buffer, index: number): void {
    const { socket, setsockopt, bind, connect } = bindings;
    const descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) throw new BenchError(`connection ${index}: no descriptor is left for it`);
    this.#descriptors.push(descriptor);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length);
    if (from.length > 0) {
      const source = from[index % from.length];
      // Where they may be used, that is; elsewhere the system chooses.
      setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, ONE, ONE.length);
      bind(descriptor, source, source.length);
    }
    if (connect(descriptor, to, to.length) < 0) {
      throw new BenchError(`connection ${index}: connect fails with errno ${bindings.errno()}`);
    }
    writeSync(descriptor, packet);
  }

  /** @returns false when the CONNACK is not there and may not be waited for. */
  #takeConnack(
    { recv, errno }: Bindings,
    index: number,
    mayWait: boolean,
    { version }: ClientPlan,
  ): boolean {
    const connack = this.#connack;
    const flags = mayWait ? 0 : MSG_DONTWAIT;
    // The bytes of one small packet come together.
    const length = recv(this.#descriptors[index], connack, CONNACK_BYTES_MAX, flags);
    if (length < 0 && !mayWait && errno() === EAGAIN) return false;
    if (length < 0) throw new BenchError(`connection ${index}: no CONNACK came`);
    if (length < CONNACK_BYTES_MIN) throw new BenchError(`connection ${index}: refused`);
    const { refusal } = readConnack(connack.subarray(0, length), version);
    if (refusal !== null) throw new BenchError(`connection ${index}: ${refusal}`);
    return true;
  }

  /** Sends DISCONNECT and closes. */
  close(): void {
    for (const descriptor of this.#descriptors) {
      try {
        writeSync(descriptor, Buffer.from([0xe0, 0]));
      } catch {
        // The broker has closed it.
      }
      this.#bindings?.close(descriptor);
    }
    this.#descriptors.length = 0;
  }
}
