/** One client of the load: its socket, its handshake, its acks, what it has received. */
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { ListenerKind } from '../../src/base/listener-config.js';
import type { ServerLimits } from '../../src/client/server-limits.js';
import { PacketType } from '../../src/protocol/packet.js';
import { isErrorCode, reasonName } from '../../src/protocol/v5/index.js';
import { descriptorOf, dial, isOverTls, isOverWebSocket } from './dial.js';
import { FrameForms } from './frame-forms.js';
import { FrameWriter } from './frame-writer.js';
import type { GroupCheck } from './group-check.js';
import { type ClientPlan, monotonicNs } from './load-plan.js';
import {
  ackRefusal,
  connectPacket,
  readConnack,
  subscribePacketId,
  subscribePackets,
} from './packets.js';
import {
  type AckBatch,
  type LatencySink,
  Receiver,
  type ViewedBytes,
  viewedBytes,
} from './receiver.js';
import { type PairFault, SequenceCheck } from './sequence-check.js';
import { WebSocketFrames } from './web-socket.js';

/** SUBSCRIBEs on their way at once. */
const SUBSCRIBES_AHEAD = 8;
const CARRY_BYTES_MIN = 256;
/** Bytes of an ack that says nothing but its packet id. */
const ACK_BYTES = 4;
/** One message in so many has its time since SUBSCRIBE taken. */
const SAMPLE_MESSAGES = 32;

/** What all clients of a thread share. */
export interface ClientHost {
  /** Name or address; of a unix socket the path. */
  readonly host: string;
  readonly port: number;
  readonly transport: ListenerKind;
  readonly chunkBytes: number;
  /** What every read of every socket goes into. */
  readonly readBuffer: ViewedBytes;
  readonly acks: AckBatch;
  readonly latency: LatencySink | null;
  /** Only of some messages. */
  readonly isSampled: boolean;
  /** Counted from the SUBSCRIBE on, of one message in some. */
  readonly isSinceSubscribe: boolean;
  /** What the members of a group of a Shared Subscription have got, by its number. */
  groupCheck(group: number, publisherCount: number): GroupCheck;
  /** CONNACK or a SUBACK came, for what was sent at this time. */
  onAnswer(sentAt: number): void;
  /** Deliveries came in. */
  onDelivered(count: number): void;
  /** A publisher may send again. */
  onReady(client: LoadClient): void;
}

/** Whole length of the frame at `start`, 0 while its length bytes are not all there. */
function frameLength(bytes: Buffer, start: number, end: number): number {
  let length = 0;
  for (let n = 0; n < 4; n++) {
    if (start + 1 + n >= end) return 0;
    const byte = bytes[start + 1 + n];
    length += (byte & 0x7f) * 128 ** n;
    if (byte < 0x80) return 2 + n + length;
  }
  throw new Error('the broker sent a remaining length of more than four bytes');
}

/** A connection that ended before it should, or said no. */
export class LoadError extends Error {
  constructor(clientId: string, what: string) {
    super(`client ${clientId}: ${what}`);
    this.name = 'LoadError';
  }
}

interface Waiting {
  resolve(): void;
  reject(error: Error): void;
}

/** Lives for one load; a client that comes and goes opens one connection after the other. */
export class LoadClient {
  readonly plan: ClientPlan;
  readonly writer: FrameWriter | null;
  /** Messages of QoS 1 and 2 that the broker has acknowledged. */
  acknowledged = 0;
  /** Messages it may have sent when the phase is over. */
  sendUpTo = 0;
  /** Messages of QoS 1 and 2 that it may have sent and not seen acknowledged. */
  window: number;
  /** In the thread's list of those who may send. */
  isListed = false;
  readonly #host: ClientHost;
  #receiver: Receiver | null = null;
  #socket: Socket | null = null;
  #descriptor = -1;
  /** Over WebSocket alone. */
  #frames: WebSocketFrames | null = null;
  #writesPending = 0;
  #isClosing = false;
  /** An unfinished frame of the last read. */
  #carry: ViewedBytes | null = null;
  #carried = 0;
  /** For CONNACK, or for the SUBACKs of all SUBSCRIBEs. */
  #waiting: Waiting | null = null;
  #subscribes: Iterator<Buffer> | null = null;
  #subacksDue = 0;
  /** When it began to connect or to subscribe, and when each SUBSCRIBE left, by packet id. */
  #askedAt = 0;
  readonly #subscribedAt = new Map<number, number>();
  /** Messages since the last whose time was taken: the first one's is. */
  #unsampled = SAMPLE_MESSAGES - 1;

  constructor(host: ClientHost, plan: ClientPlan) {
    this.#host = host;
    this.plan = plan;
    const { publish, hasAliases } = plan;
    this.writer = publish === null ? null : new FrameWriter(publish, host.chunkBytes, hasAliases);
    this.window = publish?.window ?? 0;
    const receive = plan.subscribe?.receive;
    if (receive) {
      const { firstPublisher, publisherCount, group } = receive;
      const shared = group < 0 ? null : host.groupCheck(group, publisherCount);
      const check = new SequenceCheck(receive.check, firstPublisher, publisherCount, shared);
      const forms = new FrameForms(receive);
      // How long a slow reader lets messages wait says nothing of the broker.
      const latency = plan.pauseMs > 0 || host.isSinceSubscribe ? null : host.latency;
      const sampling = { latency, isSampled: host.isSampled };
      this.#receiver = new Receiver(check, forms, receive.qos, firstPublisher, sampling);
    }
  }

  get delivered(): number {
    return this.#receiver?.delivered ?? 0;
  }

  /** Messages are about to be published. */
  beginPhase(): void {
    this.#receiver?.beginPhase();
  }

  /** Bytes of payload in each message it receives. */
  get payloadBytes(): number {
    return this.plan.subscribe?.receive?.payloadBytes ?? 0;
  }

  /** Nothing waits for the socket. */
  get isWritable(): boolean {
    return this.#writesPending === 0;
  }

  /** Resolves with CONNACK. @throws LoadError when the connection ends or is refused. */
  connect(): Promise<void> {
    this.#isClosing = false;
    this.#carried = 0;
    this.#receiver?.check.onJoin();
    this.writer?.onConnect();
    const { transport, readBuffer } = this.#host;
    const isTls = isOverTls(transport);
    this.#askedAt = monotonicNs();
    const socket: Socket = dial(this.#host, readBuffer.bytes, (length) =>
      this.#onRead(socket, length),
    );
    this.#socket = socket;
    this.#descriptor = -1;
    this.#frames = isOverWebSocket(transport)
      ? new WebSocketFrames((pong) => this.#send(pong))
      : null;
    socket.on('error', (error) => this.#onClosed(socket, error.message));
    socket.on('end', () => this.#onClosed(socket, 'the broker closed the connection'));
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      // Beneath TLS nothing is written past it.
      if (!isTls) this.#descriptor = descriptorOf(socket);
      const { host, port } = this.#host;
      if (this.#frames === null) this.#sayConnect();
      else this.#send(this.#frames.request(host, port));
    });
    return this.#answer();
  }

  #sayConnect(): void {
    const connect = connectPacket(this.plan);
    this.write(connect, 0, connect.length, true);
  }

  /** Resolves with the last SUBACK. */
  subscribe(): Promise<void> {
    const { subscribe, version } = this.plan;
    if (subscribe === null) return Promise.resolve();
    this.#subscribes = subscribePackets(subscribe.filters, subscribe.qos, version);
    this.#subacksDue = 0;
    this.#askedAt = monotonicNs();
    const done = this.#answer();
    for (let n = 0; n < SUBSCRIBES_AHEAD; n++) this.#subscribeNext();
    return done;
  }

  #subscribeNext(): void {
    const next = this.#subscribes?.next();
    if (next === undefined || next.done === true) return;
    this.#subacksDue++;
    this.#subscribedAt.set(subscribePacketId(next.value), monotonicNs());
    this.write(next.value, 0, next.value.length, true);
  }

  /** Sends DISCONNECT and closes. */
  close(): void {
    const socket = this.#socket;
    if (socket === null) return;
    this.#isClosing = true;
    this.#descriptor = -1;
    const bytes = Buffer.from([0xe0, 0]);
    const frame = this.#frames?.isUpgraded ? this.#frames.wrap(bytes, 0, 2) : bytes;
    if (!socket.destroyed) socket.end(frame);
    this.#socket = null;
    // Whoever does not answer with a close of its own is not waited for.
    setTimeout(() => socket.destroy(), 500).unref();
  }

  /** What went wrong since the last call. @param totals messages sent, by publisher. */
  takeFaults(totals: Float64Array): PairFault[] {
    return this.#receiver?.check.takeFaults(this.plan.clientId, totals) ?? [];
  }

  isComplete(totals: Float64Array): boolean {
    return this.#receiver?.check.isComplete(totals) ?? true;
  }

  /**
   * Writes to the socket past the stream's machinery as long as the socket takes it all.
   * @param isKept the bytes stay as they are until the socket has taken them.
   * @returns whether it has.
   */
  write(bytes: Buffer, start: number, end: number, isKept: boolean): boolean {
    if (this.#frames !== null) return this.#send(this.#frames.wrap(bytes, start, end));
    return this.#send(bytes, start, end, isKept);
  }

  #send(bytes: Buffer, start = 0, end = bytes.length, isKept = true): boolean {
    const socket = this.#socket;
    if (socket === null) return false;
    let at = start;
    if (this.#writesPending === 0 && this.#descriptor >= 0) {
      try {
        at += writeSync(this.#descriptor, bytes, start, end - start);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#descriptor = -1;
      }
      if (at === end) return true;
    }
    const rest = bytes.subarray(at, end);
    this.#writesPending++;
    socket.write(isKept ? rest : Buffer.from(rest), () => {
      this.#writesPending--;
      if (this.#writesPending === 0 && this.writer !== null) this.#host.onReady(this);
    });
    return false;
  }

  /** @returns false when reading is to pause. */
  #onRead(socket: Socket, length: number): boolean {
    if (socket !== this.#socket || this.#isClosing) return true;
    const { acks, readBuffer } = this.#host;
    const before = this.delivered;
    acks.length = 0;
    try {
      this.#takeAll(
        readBuffer,
        this.#frames === null ? length : this.#unwrap(this.#frames, length),
      );
    } catch (error) {
      this.#onClosed(socket, (error as Error).message);
      return true;
    }
    if (acks.length > 0) this.write(acks.bytes, 0, acks.length, false);
    if (this.delivered > before) this.#onDelivered(this.delivered - before);
    if (this.plan.pauseMs === 0) return true;
    setTimeout(() => socket.resume(), this.plan.pauseMs);
    return false;
  }

  /** Bytes of what the frames of a read hold; CONNECT follows when the server has agreed. */
  #unwrap(frames: WebSocketFrames, length: number): number {
    const wasUpgraded = frames.isUpgraded;
    const bytes = frames.unwrap(this.#host.readBuffer.bytes, length);
    if (!wasUpgraded && frames.isUpgraded) this.#sayConnect();
    return bytes;
  }

  #onDelivered(count: number): void {
    const { latency, isSinceSubscribe } = this.#host;
    this.#host.onDelivered(count);
    if (!isSinceSubscribe) return;
    this.#unsampled += count;
    for (; this.#unsampled >= SAMPLE_MESSAGES; this.#unsampled -= SAMPLE_MESSAGES) {
      latency?.onLatency(this.#askedAt);
    }
  }

  #takeAll(read: ViewedBytes, end: number): void {
    const at = this.#carried > 0 ? this.#finishCarried(read, end) : 0;
    const left = this.#takeWhole(read, at, end);
    if (left === end) return;
    this.#carryRoom(end - left);
    read.bytes.copy(this.#carry!.bytes, 0, left, end);
    this.#carried = end - left;
  }

  /** Completes the frame begun in an earlier read. @returns where the next one begins. */
  #finishCarried(read: ViewedBytes, end: number): number {
    let at = 0;
    while (this.#carried > 0 && at < end) {
      const carry = this.#carry!;
      const length = frameLength(carry.bytes, 0, this.#carried);
      const wanted = length === 0 ? 1 : Math.min(length - this.#carried, end - at);
      this.#carryRoom(this.#carried + wanted);
      read.bytes.copy(this.#carry!.bytes, this.#carried, at, at + wanted);
      this.#carried += wanted;
      at += wanted;
      if (frameLength(this.#carry!.bytes, 0, this.#carried) === this.#carried) {
        this.#takeWhole(this.#carry!, 0, this.#carried);
        this.#carried = 0;
      }
    }
    return at;
  }

  #carryRoom(length: number): void {
    if (this.#carry !== null && this.#carry.bytes.length >= length) return;
    const larger = viewedBytes(Math.max(CARRY_BYTES_MIN, 2 * length));
    this.#carry?.bytes.copy(larger.bytes, 0, 0, this.#carried);
    this.#carry = larger;
  }

  /** Takes all whole frames. @returns where the unfinished one begins. */
  #takeWhole(read: ViewedBytes, start: number, end: number): number {
    const { acks } = this.#host;
    let at = start;
    for (;;) {
      if (this.#receiver !== null) at = this.#receiver.take(read, at, end, acks);
      if (end - at < 2) return at;
      const length = frameLength(read.bytes, at, end);
      if (length === 0 || end - at < length) return at;
      this.#onFrame(read.bytes, at, length);
      at += length;
    }
  }

  /** Anything but a PUBLISH as expected. */
  #onFrame(bytes: Buffer, at: number, length: number): void {
    const first = bytes[at];
    const { acks } = this.#host;
    if (first >> 4 === 3) this.#receiver?.check.onForeign();
    else if (first === 0x40 || first === 0x50 || first === 0x70) {
      if (length > ACK_BYTES) this.#checkAck(bytes.subarray(at, at + length));
      if (first === 0x50) acks.add(0x62, bytes.readUInt16BE(at + 2));
      else this.#onAcknowledged();
    } else if (first === 0x62) acks.add(0x70, bytes.readUInt16BE(at + 2));
    else if (first === 0x90) this.#onSuback(bytes.subarray(at, at + length));
    else if (first === 0x20) this.#onConnack(bytes.subarray(at, at + length));
    else if (first === 0xe0) this.#onDisconnect(bytes, at, length);
    else throw new LoadError(this.plan.clientId, `a packet of type ${first >> 4} is not expected`);
  }

  /** An ack with a reason code, which only brokers of 5.0 send. @throws LoadError */
  #checkAck(frame: Buffer): void {
    const refusal = ackRefusal(frame);
    if (refusal !== null) throw new LoadError(this.plan.clientId, refusal);
  }

  /** @throws LoadError that says why the broker ends the connection. */
  #onDisconnect(bytes: Buffer, at: number, length: number): void {
    const code = length > 2 ? bytes[at + 2] : 0;
    const why = reasonName(code, PacketType.disconnect);
    throw new LoadError(this.plan.clientId, `the broker closed the connection: ${why}`);
  }

  #onAcknowledged(): void {
    this.acknowledged++;
    if (this.#writesPending === 0) this.#host.onReady(this);
  }

  #onConnack(frame: Buffer): void {
    this.#host.onAnswer(this.#askedAt);
    const { refusal, limits } = readConnack(frame, this.plan.version);
    const { publish } = this.plan;
    if (publish !== null) this.window = Math.min(publish.window, limits.receiveMaximum);
    const fault = refusal ?? this.#limitFault(limits);
    this.#settle(fault === null ? null : new LoadError(this.plan.clientId, fault));
  }

  /** What the broker does not take of what is to be published; null for nothing. */
  #limitFault({ maximumPacketSize, maximumQos, topicAliasMaximum }: ServerLimits): string | null {
    const { publish, hasAliases } = this.plan;
    if (publish === null) return null;
    if (publish.qos > maximumQos) return `the broker takes no more than QoS ${maximumQos}`;
    if (this.writer!.frameBytesMax > maximumPacketSize) {
      return `the broker takes no packets of more than ${maximumPacketSize} bytes`;
    }
    if (!hasAliases || publish.topicCount <= topicAliasMaximum) return null;
    return `the broker takes ${topicAliasMaximum} topic aliases, not ${publish.topicCount}`;
  }

  #onSuback(frame: Buffer): void {
    const packetId = subscribePacketId(frame);
    this.#host.onAnswer(this.#subscribedAt.get(packetId) ?? this.#askedAt);
    this.#subscribedAt.delete(packetId);
    if (isErrorCode(frame[frame.length - 1])) {
      this.#settle(new LoadError(this.plan.clientId, 'a subscription was refused'));
      return;
    }
    this.#subacksDue--;
    this.#subscribeNext();
    if (this.#subacksDue === 0) this.#settle(null);
  }

  #onClosed(socket: Socket, why: string): void {
    // A client that goes and comes may see its former connection end after it has come back.
    if (socket !== this.#socket || this.#isClosing) return;
    this.#descriptor = -1;
    this.#isClosing = true;
    socket.destroy();
    const error = new LoadError(this.plan.clientId, why);
    if (this.#waiting !== null) this.#settle(error);
    // Between commands there is nobody to tell: what it misses from now on is found lost.
  }

  #answer(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  #settle(error: Error | null): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (error === null) waiting?.resolve();
    else waiting?.reject(error);
  }
}
