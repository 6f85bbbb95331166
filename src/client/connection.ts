/**
 * One network connection of a client: from the TCP handshake and CONNECT to its end, whichever way.
 */
import { connect as connectSocket, type Socket } from 'node:net';
import {
  ConnectFailedError,
  ConnectionLostError,
  ConnectRefusedError,
  ProtocolError,
  TimeoutError,
} from '../base/errors.js';
import { CLIENT_LINGER_MS, CLIENT_UNREAD_ACKS_BYTES, READ_BUFFER_BYTES } from '../base/limits.js';
import { DISCONNECT, PINGREQ } from '../protocol/ack-frame.js';
import { encodePacket, parsePacket } from '../protocol/codec.js';
import type { FrameSink } from '../protocol/frame-scan.js';
import { type ConnackPacket, type ControlPacket, PacketType } from '../protocol/packet.js';
import { ConnackCode } from '../protocol/return-code.js';
import type { Call } from './call.js';
import { Fifo } from './fifo.js';
import { KeepAlive, type KeepAliveHost } from './keep-alive.js';
import type { ClientSettings } from './options.js';
import { Reader } from './reader.js';
import { Ending } from './resend.js';
import { Writer } from './writer.js';

/** What a connection tells its client. Nothing is called after `onClosed`. */
export interface ConnectionOwner {
  /** CONNACK accepted the connection. */
  onConnected(connection: Connection, sessionPresent: boolean): void;
  /** A run, see FrameSink.onRun. @returns the position behind the last frame taken. */
  onRun(
    connection: Connection,
    buffer: Buffer,
    start: number,
    end: number,
    topicStart: number,
    topicLength: number,
    header: number,
    count: number,
    packetIds: Uint16Array,
  ): number;
  /** PUBACK, PUBREC, PUBREL or PUBCOMP. */
  onAck(type: number, packetId: number): void;
  /** SUBACK or UNSUBACK, the latter without return codes. */
  onAnswer(type: number, packetId: number, returnCodes: readonly number[]): void;
  /** Queues are full and nothing is waited for. */
  readonly mustStopReading: boolean;
  /** The socket takes more again. */
  onDrain(): void;
  /** The connection has ended, and not by `end`. */
  onClosed(connection: Connection, error: Error): void;
}

const State = { opening: 0, handshake: 1, open: 2, ending: 3, closed: 4 } as const;
type State = (typeof State)[keyof typeof State];

const NO_RETURN_CODES: readonly number[] = [];

/**
 * All connections of a thread read into this: what is read is scanned before anything else is read.
 */
let sharedReadBuffer: Buffer | null = null;

const REFUSALS: Readonly<Record<number, string>> = {
  [ConnackCode.unacceptableProtocolVersion]: 'it does not speak this protocol version',
  [ConnackCode.identifierRejected]: 'it rejects the client id',
  [ConnackCode.serverUnavailable]: 'it is unavailable',
  [ConnackCode.badUserNameOrPassword]: 'bad user name or password',
  [ConnackCode.notAuthorized]: 'not authorized',
};

export class Connection implements FrameSink, KeepAliveHost {
  readonly writer: Writer;
  readonly #settings: ClientSettings;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #reader: Reader;
  readonly #keepAlive: KeepAlive;
  /** Who waits for a PINGRESP, in order; null for keep alive. */
  readonly #pings = new Fifo<Call | null>();
  #pingCalls = 0;
  #state: State = State.opening;
  #isReadingStopped = false;
  #isResumeScheduled = false;
  #hasRead = false;
  #timer: NodeJS.Timeout | undefined;
  #onEnded: (() => void) | null = null;
  #ending: Ending = Ending.other;

  constructor(settings: ClientSettings, owner: ConnectionOwner) {
    this.#settings = settings;
    this.#owner = owner;
    const { host, port, socketPath, localAddress } = settings;
    sharedReadBuffer ??= Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
    const buffer = sharedReadBuffer;
    const target =
      socketPath === undefined
        ? { host, port, noDelay: true, ...(localAddress === undefined ? {} : { localAddress }) }
        : { path: socketPath };
    this.#socket = connectSocket({
      ...target,
      onread: { buffer, callback: (length) => this.#onRead(buffer, length) },
    });
    this.writer = new Writer(this.#socket, () => owner.onDrain());
    this.#reader = new Reader(settings.maxPacketBytes, settings.protocolVersion, this);
    this.#keepAlive = new KeepAlive(settings, this);
    this.#timer = setTimeout(() => this.#onConnectTimeout(), settings.connectTimeoutMs);
    this.#socket.on('connect', () => this.#onOpen());
    this.#socket.on('error', (error) => this.#onSocketEnd(error));
    this.#socket.on('end', () => this.#onSocketEnd(null));
    this.#socket.on('close', () => this.#onSocketClosed());
  }

  get isOpen(): boolean {
    return this.#state === State.open;
  }

  /** How it ended. */
  get ending(): Ending {
    return this.#ending;
  }

  get isReadingStopped(): boolean {
    return this.#isReadingStopped;
  }

  /** Calls of the client's user that wait for a PINGRESP. */
  get pingCalls(): number {
    return this.#pingCalls;
  }

  /** Sends PINGREQ. @param call succeeds with the PINGRESP, fails with the connection. */
  ping(call: Call | null = null): void {
    if (call !== null) this.#pingCalls++;
    this.#pings.push(call);
    this.writer.writeFrame(PINGREQ);
  }

  takeHasWritten(): boolean {
    const { hasWritten } = this.writer;
    this.writer.hasWritten = false;
    return hasWritten;
  }

  takeHasRead(): boolean {
    const hasRead = this.#hasRead;
    this.#hasRead = false;
    return hasRead;
  }

  onSilence(): void {
    const { uri, ackTimeoutMs } = this.#settings;
    this.fail(
      new ConnectionLostError(`connection to ${uri} lost: no PINGRESP within ${ackTimeoutMs} ms`),
    );
  }

  /** Reads on, if it may, in a turn of its own: who calls may be in the middle of a delivery. */
  resumeReading(): void {
    if (!this.#isReadingStopped || this.#isResumeScheduled) return;
    this.#isResumeScheduled = true;
    setImmediate(() => {
      this.#isResumeScheduled = false;
      this.#resume();
    });
  }

  /** Cuts the connection for `error`, of which the owner is told. */
  fail(error: Error): void {
    if (this.#state >= State.ending) return;
    this.#close(error);
    this.#owner.onClosed(this, error);
  }

  /**
   * Sends what is batched and then DISCONNECT, and closes [MQTT-3.14.4-1]. Settles when the
   * connection has ended. What still comes is not looked at.
   * @param error for who waits for the connection.
   */
  end(error: Error): Promise<void> {
    if (this.#state >= State.ending) return Promise.resolve();
    const wasOpen = this.#state === State.open;
    const ended = new Promise<void>((resolve) => {
      this.#onEnded = resolve;
    });
    if (!wasOpen) {
      this.#close(error);
      return ended;
    }
    this.writer.writeFrame(DISCONNECT);
    this.writer.flush();
    this.#state = State.ending;
    this.#stop(error);
    // To destroy the socket at once could reset it, and take DISCONNECT back: the will would be
    // sent.
    this.#socket.end();
    this.#socket.resume();
    this.#timer = setTimeout(() => this.#socket.destroy(), CLIENT_LINGER_MS);
    return ended;
  }

  // ---- FrameSink -------------------------------------------------------------------------------

  onRun(
    buffer: Buffer,
    start: number,
    end: number,
    topicStart: number,
    topicLength: number,
    header: number,
    count: number,
  ): boolean {
    if (this.#state !== State.open) throw beforeConnack(PacketType.publish);
    const position = this.#owner.onRun(
      this,
      buffer,
      start,
      end,
      topicStart,
      topicLength,
      header,
      count,
      this.#reader.packetIds,
    );
    if (position === end && !this.#mustStop) return true;
    this.#reader.stopAt(position);
    return false;
  }

  onAcks(type: number, count: number): boolean {
    if (this.#state !== State.open) throw beforeConnack(type);
    const { packetIds } = this.#reader;
    for (let at = 0; at < count; at++) this.#owner.onAck(type, packetIds[at]);
    return true;
  }

  onFrame(buffer: Buffer, start: number, end: number): boolean {
    const packet = parsePacket(buffer, start, end, this.#settings.protocolVersion);
    if (packet.type === 'connack') this.#onConnack(packet);
    else if (this.#state !== State.open) throw beforeConnack(buffer[start] >> 4);
    else this.#onPacket(packet);
    if (this.isOpen) return true;
    // A listener has closed the connection: the rest is not looked at.
    this.#reader.stopAt(end);
    return false;
  }

  #onPacket(packet: ControlPacket): void {
    switch (packet.type) {
      case 'suback':
        this.#owner.onAnswer(PacketType.suback, packet.packetId, packet.returnCodes);
        break;
      case 'unsuback':
        this.#owner.onAnswer(PacketType.unsuback, packet.packetId, NO_RETURN_CODES);
        break;
      case 'pingresp':
        this.#keepAlive.answered();
        this.#onPingresp(this.#pings.shift() ?? null);
        break;
      default:
        throw new ProtocolError(
          '2.2.1',
          `${packet.type.toUpperCase()} from a server, which only a client may send`,
        );
    }
  }

  #onPingresp(call: Call | null): void {
    if (call === null) return;
    this.#pingCalls--;
    call.succeed();
  }

  #onConnack({ returnCode, sessionPresent }: ConnackPacket): void {
    if (this.#state !== State.handshake) throw new ProtocolError('3.2', 'a second CONNACK');
    const { uri, cleanSession, protocolVersion } = this.#settings;
    if (returnCode !== ConnackCode.accepted) {
      const why = REFUSALS[returnCode] ?? 'reason unknown';
      this.fail(
        new ConnectRefusedError(returnCode, `${uri} refuses: ${why} (return code ${returnCode})`),
      );
      return;
    }
    clearTimeout(this.#timer);
    this.#state = State.open;
    this.#keepAlive.start();
    // CONNACK of MQTT 3.1 cannot tell; a session that was asked for is taken to be there.
    const isPresent = protocolVersion === 3 ? !cleanSession : sessionPresent && !cleanSession;
    this.#owner.onConnected(this, isPresent);
  }

  // ---- socket ----------------------------------------------------------------------------------

  /**
   * A stopped reader: for the client's full queues, or because the connection is not open any more.
   */
  get #mustStop(): boolean {
    return this.#state !== State.open || this.#owner.mustStopReading;
  }

  /** @returns false to stop reading from the socket. */
  #onRead(buffer: Buffer, length: number): boolean {
    if (this.#state >= State.ending) return true;
    this.#hasRead = true;
    try {
      const goesOn = this.#reader.push(buffer, length);
      this.#checkUnsent();
      // A handler may have ended the connection: its close would not be seen without reading.
      if (goesOn || this.#state >= State.ending) return true;
      this.#isReadingStopped = true;
      return false;
    } catch (error) {
      this.#onReadError(error);
      return true;
    }
  }

  /**
   * Acks cannot be held back, for a server that waits for us to read would wait for ever. One that
   * sends and never reads is cut off before they fill the memory.
   */
  #checkUnsent(): void {
    const { uri, maxQueuedBytes } = this.#settings;
    // Messages that wait for the socket and messages sent again have that bound each.
    const bytesMax = 2 * maxQueuedBytes + CLIENT_UNREAD_ACKS_BYTES;
    if (!this.writer.isSocketFull || this.writer.unsentBytes <= bytesMax) return;
    this.fail(new ConnectionLostError(`connection to ${uri} given up: the server does not read`));
  }

  #resume(): void {
    if (this.#state !== State.open || !this.#isReadingStopped || this.#mustStop) return;
    try {
      if (!this.#reader.resume()) return;
      this.#isReadingStopped = false;
      this.#socket.resume();
    } catch (error) {
      this.#onReadError(error);
    }
  }

  /** What the server did wrong ends the connection; anything else is a fault of this program. */
  #onReadError(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error;
    this.#ending = Ending.closed;
    this.fail(error);
  }

  #onOpen(): void {
    if (this.#state !== State.opening) return;
    this.#state = State.handshake;
    const { protocolVersion, clientId, cleanSession, keepAliveSeconds } = this.#settings;
    const { will, username, password } = this.#settings;
    const session = { protocolVersion, clientId, cleanSession, keepAliveSeconds };
    const packet = { type: 'connect', ...session, will, username, password } as const;
    this.writer.writeFrame(encodePacket(packet, protocolVersion));
    this.writer.flush();
  }

  #onConnectTimeout(): void {
    const { uri, connectTimeoutMs } = this.#settings;
    const what = this.#state === State.opening ? 'connection' : 'CONNACK';
    const cause = new TimeoutError(`no ${what} within ${connectTimeoutMs} ms`);
    this.fail(new ConnectFailedError(`cannot connect to ${uri}: ${cause.message}`, { cause }));
  }

  #onSocketEnd(cause: Error | null): void {
    const { uri } = this.#settings;
    const why = cause === null ? 'closed by the server' : reasonOf(cause);
    const options = cause === null ? {} : { cause };
    if (this.#state === State.open) this.#ending = endingBy(cause);
    this.fail(
      this.#state < State.open
        ? new ConnectFailedError(`cannot connect to ${uri}: ${why}`, options)
        : new ConnectionLostError(`connection to ${uri} lost: ${why}`, options),
    );
  }

  #onSocketClosed(): void {
    this.#onSocketEnd(null);
    clearTimeout(this.#timer);
    this.#state = State.closed;
    this.#onEnded?.();
    this.#onEnded = null;
  }

  #close(error: Error): void {
    this.#state = State.closed;
    this.#stop(error);
    this.#socket.destroy();
  }

  #stop(error: Error): void {
    clearTimeout(this.#timer);
    this.#keepAlive.stop();
    this.writer.close(error);
    for (let call = this.#pings.shift(); call !== undefined; call = this.#pings.shift()) {
      call?.fail(error);
    }
  }
}

/** Codes of errors by which a socket says that the other side has closed it. */
const RESET_CODES: readonly unknown[] = ['ECONNRESET', 'EPIPE', 'ECONNABORTED'];

function endingBy(cause: Error | null): Ending {
  if (cause === null) return Ending.closed;
  return 'code' in cause && RESET_CODES.includes(cause.code) ? Ending.reset : Ending.other;
}

function beforeConnack(type: number): ProtocolError {
  return new ProtocolError('MQTT-3.2.0-1', `packet of type ${type} before CONNACK`);
}

/** The message of a network error, or its code where it has none (an AggregateError). */
function reasonOf(error: Error): string {
  if (error.message !== '') return error.message;
  return 'code' in error ? String(error.code) : error.name;
}
