/** One network connection of a client: from its transport and CONNECT to its end, whichever way. */
import {
  ConnectFailedError,
  ConnectionLostError,
  ConnectRefusedError,
  ProtocolError,
  TimeoutError,
} from '../base/errors.js';
import { CLIENT_LINGER_MS, CLIENT_UNREAD_ACKS_BYTES } from '../base/limits.js';
import type { FrameSink } from '../protocol/frame-scan.js';
import { PacketType } from '../protocol/packet.js';
import {
  type AuthPacket5,
  type ControlPacket5,
  NO_PROPERTIES,
  parsePacket5,
  Sender,
} from '../protocol/v5/index.js';
import { ConnectionAuthentication } from './authentication.js';
import type { Call } from './call.js';
import { beforeConnack, endingBy, ofClient, reasonOf } from './connection-faults.js';
import type { ConnectionOwner } from './connection-owner.js';
import { disconnectFrame, isAboutPackets, serverDisconnected } from './disconnect.js';
import {
  type Accepted,
  type Attempt,
  connectFrame,
  type ProtocolLevel,
  readConnack,
} from './handshake.js';
import { KeepAlive, type KeepAliveHost } from './keep-alive.js';
import type { ClientSettings } from './options.js';
import { readPacket3, type ServerPacket3 } from './packets3.js';
import { Pings } from './pings.js';
import { Reader } from './reader.js';
import { Ending } from './resend.js';
import { IncomingAliases } from './topic-aliases.js';
import type { Transport, TransportOwner } from './transport.js';
import type { Transports } from './transports.js';
import { Writer } from './writer.js';

const State = { opening: 0, handshake: 1, open: 2, ending: 3, closed: 4 } as const;
type State = (typeof State)[keyof typeof State];

const NO_RETURN_CODES: readonly number[] = [];

export class Connection implements FrameSink, KeepAliveHost, TransportOwner {
  readonly writer: Writer;
  readonly #attempt: Attempt;
  readonly #aliases: IncomingAliases;
  readonly #settings: ClientSettings;
  readonly #owner: ConnectionOwner;
  readonly #transport: Transport;
  readonly #reader: Reader;
  readonly #keepAlive: KeepAlive;
  readonly #pings: Pings;
  readonly #authentication: ConnectionAuthentication;
  #state: State = State.opening;
  #isReadingStopped = false;
  #isResumeScheduled = false;
  #hasRead = false;
  #timer: NodeJS.Timeout | undefined;
  #onEnded: (() => void) | null = null;
  #ending: Ending = Ending.other;

  constructor(
    settings: ClientSettings,
    transports: Transports,
    attempt: Attempt,
    owner: ConnectionOwner,
  ) {
    this.#settings = settings;
    this.#attempt = attempt;
    this.#owner = owner;
    this.#aliases = new IncomingAliases(settings.connectProperties.topicAliasMaximum ?? 0);
    this.#transport = transports.open(attempt.protocolVersion, this);
    this.writer = new Writer(this.#transport, () => owner.onDrain());
    this.#reader = new Reader(settings.maxPacketBytes, attempt.protocolVersion, this);
    this.#pings = new Pings(this.writer);
    this.#authentication = new ConnectionAuthentication(settings.authentication, {
      uri: settings.uri,
      send: (frame) => this.writer.writeFrame(frame),
      fail: (error) => this.fail(error),
    });
    this.#keepAlive = new KeepAlive(settings, this);
    this.#timer = setTimeout(() => this.#onConnectTimeout(), settings.connectTimeoutMs);
  }

  get isOpen(): boolean {
    return this.#state === State.open;
  }

  /** That its CONNECT asked for. */
  get protocolVersion(): ProtocolLevel {
    return this.#attempt.protocolVersion;
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
    return this.#pings.calls;
  }

  /** Sends PINGREQ. @param call succeeds with the PINGRESP, fails with the connection. */
  ping(call: Call | null = null): void {
    this.#pings.send(call);
  }

  /** Authenticates again. @param call fails where there is nothing to do it with. */
  reauthenticate(call: Call): void {
    this.#authentication.reauthenticate(call);
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
   * @param frame of DISCONNECT.
   */
  end(error: Error, frame: Buffer): Promise<void> {
    if (this.#state >= State.ending) return Promise.resolve();
    const wasOpen = this.#state === State.open;
    const ended = new Promise<void>((resolve) => {
      this.#onEnded = resolve;
    });
    if (!wasOpen) {
      this.#close(error);
      return ended;
    }
    this.writer.writeFrame(frame);
    this.writer.flush();
    this.#state = State.ending;
    this.#stop(error);
    // To destroy the transport at once could reset it, and take DISCONNECT back: the will would be
    // sent.
    this.#transport.end();
    this.#timer = setTimeout(() => this.#transport.destroy(), CLIENT_LINGER_MS);
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
    const { publish } = this.#reader;
    let topics = buffer;
    let topicAt = topicStart;
    let topicBytes = topicLength;
    if (publish !== null && publish.topicAlias !== 0) {
      if (topicLength > 0) {
        this.#aliases.remember(publish.topicAlias, buffer, topicStart, topicLength);
      } else {
        topics = this.#aliases.topicOf(publish.topicAlias);
        topicAt = 0;
        topicBytes = topics.length;
      }
    }
    const position = this.#owner.onRun(
      this,
      buffer,
      start,
      end,
      publish,
      topics,
      topicAt,
      topicBytes,
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
    for (let at = 0; at < count; at++) {
      this.#owner.onAck(type, packetIds[at], this.#reader.reasonCodeAt(at), NO_PROPERTIES);
    }
    return true;
  }

  onFrame(buffer: Buffer, start: number, end: number): boolean {
    const { protocolVersion } = this.#attempt;
    if (buffer[start] >> 4 === PacketType.connack) this.#onConnack(buffer, start, end);
    else if (buffer[start] >> 4 === PacketType.auth) this.#onAuth(buffer, start, end);
    else if (this.#state !== State.open) throw beforeConnack(buffer[start] >> 4);
    else if (protocolVersion !== 5)
      this.#onPacket(readPacket3(buffer, start, end, protocolVersion));
    else this.#onPacket5(parsePacket5(buffer, start, end, Sender.server));
    if (this.#state === State.open || this.#state === State.handshake) return true;
    // A listener has closed the connection: the rest is not looked at.
    this.#reader.stopAt(end);
    return false;
  }

  #onPacket(packet: ServerPacket3 | string): void {
    if (typeof packet === 'string') throw ofClient(packet);
    switch (packet.type) {
      case 'suback':
        this.#owner.onAnswer(PacketType.suback, packet.packetId, packet.returnCodes, NO_PROPERTIES);
        break;
      case 'unsuback':
        this.#owner.onAnswer(PacketType.unsuback, packet.packetId, NO_RETURN_CODES, NO_PROPERTIES);
        break;
      case 'pingresp':
        this.#onPingresp();
        break;
    }
  }

  #onPacket5(packet: ControlPacket5): void {
    const { type } = packet;
    switch (type) {
      case 'puback':
      case 'pubrec':
      case 'pubrel':
      case 'pubcomp':
        this.#owner.onAck(PacketType[type], packet.packetId, packet.reasonCode, packet.properties);
        break;
      case 'suback':
      case 'unsuback': {
        const { packetId, reasonCodes, properties } = packet;
        this.#owner.onAnswer(PacketType[type], packetId, reasonCodes, properties);
        break;
      }
      case 'pingresp':
        this.#onPingresp();
        break;
      case 'disconnect':
        this.#ending = isAboutPackets(packet.reasonCode) ? Ending.closed : Ending.other;
        this.fail(serverDisconnected(packet, this.#settings.uri));
        break;
      default:
        throw ofClient(type);
    }
  }

  #onPingresp(): void {
    this.#keepAlive.answered();
    this.#pings.answered();
  }

  #onAuth(buffer: Buffer, start: number, end: number): void {
    const packet = parsePacket5(buffer, start, end, Sender.server) as AuthPacket5;
    this.#authentication.onAuth(packet, this.isOpen);
  }

  #onConnack(buffer: Buffer, start: number, end: number): void {
    if (this.#state !== State.handshake) throw new ProtocolError('3.2', 'a second CONNACK');
    let accepted: Accepted;
    try {
      accepted = readConnack(buffer, start, end, this.#settings, this.#attempt);
    } catch (error) {
      if (!(error instanceof ConnectRefusedError)) throw error;
      this.fail(error);
      return;
    }
    if (!this.#authentication.connected(accepted.properties)) return;
    clearTimeout(this.#timer);
    this.#state = State.open;
    this.#keepAlive.start(accepted.keepAliveSeconds);
    this.#owner.onConnected(this, accepted);
  }

  // ---- TransportOwner --------------------------------------------------------------------------

  /**
   * A stopped reader: for the client's full queues, or because the connection is not open any more.
   */
  get #mustStop(): boolean {
    return this.#state !== State.open || this.#owner.mustStopReading;
  }

  onRead(buffer: Buffer, length: number): boolean {
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
      this.#transport.resume();
    } catch (error) {
      this.#onReadError(error);
    }
  }

  /** What the server did wrong ends the connection; anything else is a fault of this program. */
  #onReadError(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error;
    this.#ending = Ending.closed;
    if (this.#state === State.open && this.protocolVersion === 5) {
      this.writer.writeFrame(disconnectFrame(5, error.reasonCode));
      this.writer.flush();
    }
    this.fail(error);
  }

  onOpen(): void {
    if (this.#state !== State.opening) return;
    this.#state = State.handshake;
    this.#authentication.begin((properties) => {
      this.writer.writeFrame(connectFrame(this.#settings, this.#attempt, properties));
      this.writer.flush();
    });
  }

  #onConnectTimeout(): void {
    const { uri, connectTimeoutMs } = this.#settings;
    const what = this.#state === State.opening ? this.#transport.stage : 'CONNACK';
    const cause = new TimeoutError(`no ${what} within ${connectTimeoutMs} ms`);
    this.fail(new ConnectFailedError(`cannot connect to ${uri}: ${cause.message}`, { cause }));
  }

  onEnd(cause: Error | null): void {
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

  onTransportClosed(): void {
    this.onEnd(null);
    clearTimeout(this.#timer);
    this.#state = State.closed;
    this.#onEnded?.();
    this.#onEnded = null;
  }

  #close(error: Error): void {
    this.#state = State.closed;
    this.#stop(error);
    this.#transport.destroy();
  }

  #stop(error: Error): void {
    clearTimeout(this.#timer);
    this.#keepAlive.stop();
    this.writer.close(error);
    this.#pings.failAll(error);
    this.#authentication.close(error);
  }
}
