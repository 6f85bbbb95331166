/**
 * What goes from the client to the server: messages and subscriptions, in the order they were asked
 * for, through a bounded queue and a window of unacknowledged packets that both outlive the
 * connection.
 */
import { PacketRejectedError } from '../base/errors.js';
import { PACKET_ID_MAX } from '../base/limits.js';
import { DUP } from '../protocol/fixed-header.js';
import { PacketType } from '../protocol/packet.js';
import { isErrorCode, type Properties } from '../protocol/v5/index.js';
import type { CallOptions } from './call.js';
import type { Payload } from './message.js';
import type { ClientSettings } from './options.js';
import { OutgoingAliases, TopicForm } from './outgoing-aliases.js';
import { tooLong, wrongAnswer } from './outgoing-faults.js';
import { OutgoingLedger } from './outgoing-ledger.js';
import { OutgoingPacket } from './outgoing-packet.js';
import { PublishDraft } from './publish-draft.js';
import { FIRST_ANSWER, needsVersion5, type PublishOptions } from './publish-options.js';
import { publishRefused, reasonIn } from './reasons.js';
import type { Ending } from './resend.js';
import { NO_LIMITS, type ServerLimits } from './server-limits.js';
import { Untaken } from './untaken.js';
import type { Writer } from './writer.js';

/** One promise for all QoS 0 messages that the socket took at once. */
const DONE: Promise<void> = Promise.resolve();

/** Sends, queues, redelivers. */
export class Outgoing extends OutgoingLedger {
  readonly #settings: ClientSettings;
  readonly #draft: PublishDraft;
  readonly #untaken = new Untaken(
    (packet) => this.taken(packet),
    (packet, error) => {
      this.fail(packet, error);
      this.queue.release(packet);
    },
  );
  readonly #aliases: OutgoingAliases;
  #isFirstConnection = true;
  #sessionPresent = false;

  constructor(settings: ClientSettings) {
    super(settings);
    this.#settings = settings;
    this.#aliases = new OutgoingAliases(settings.maxTopicAliases);
    this.#draft = new PublishDraft(settings.maxOutgoingPacketBytes);
  }

  /** Something that we wait for may stand behind what the server sends. */
  get isAwaiting(): boolean {
    return this.sent.count > 0 || this.writer?.isSocketFull === true;
  }

  /**
   * Publishes. QoS 0: done when the socket has it, and not too much before it. QoS 1 and 2: done at
   * PUBACK or PUBCOMP.
   * @throws ArgumentError, CapacityError when the queue is full, `refusal`, or the reason of a
   *   signal that has fired already.
   */
  publish(topic: string, payload: Payload, options: PublishOptions): Promise<void> {
    if (this.refusal !== null) throw this.refusal;
    const draft = this.#draft;
    draft.prepare(topic, payload, options, this.version, this.limits);
    const { qos, frameBytes } = draft;
    options.signal?.throwIfAborted();
    const writer = this.writer;
    if (
      writer === null ||
      !this.queue.isEmpty ||
      this.resend.isUnderWay ||
      !this.#mayWrite(writer, qos, frameBytes)
    ) {
      this.queue.check(qos, frameBytes, writer);
      const frame = Buffer.allocUnsafe(frameBytes);
      draft.write(frame, 0, 0);
      const packet = new OutgoingPacket(FIRST_ANSWER[qos], frame, 0, frameBytes);
      packet.names(draft.field, false);
      return this.#enqueue(packet, options, 0, topic);
    }
    return this.#write(writer, draft, options, topic);
  }

  /** Writes what the draft has into the batch. */
  #write(writer: Writer, draft: PublishDraft, options: CallOptions, topic: string): Promise<void> {
    const isNameless = this.#aliases.isOn && draft.shorten(this.#aliases, this.limits);
    const { qos, frameBytes, field } = draft;
    writer.reserve(frameBytes);
    const at = writer.position;
    if (qos === 0) {
      const { chunk } = writer;
      const end = draft.write(chunk, at, 0);
      writer.commit(end, this.#settings.resendQos0);
      if (!writer.isBusy && !writer.isBehind) return DONE;
      if (writer.isSocketFull) this.onAwaiting();
      const packet = this.#untakenPacket(chunk, at, end, options);
      if (packet === null) return writer.whenTaken(1);
      packet.names(field, isNameless);
      return this.#whenTaken(writer, packet, options, topic);
    }
    const packet = new OutgoingPacket(FIRST_ANSWER[qos], writer.chunk, at, at + frameBytes);
    packet.names(field, isNameless);
    this.keepSent(packet);
    const { packetId } = packet;
    // The frame stays where it lies in the batch: it is sent again from there if need be.
    writer.commit(draft.write(writer.chunk, at, packetId), true);
    const promise = packet.promise();
    this.#limit(packet, options, 0, topic);
    return promise;
  }

  /**
   * The QoS 0 message [start, end) of `chunk`, where it waits by itself for the socket to take it;
   * null where many calls share one promise: no limit of their own, and not sent again.
   */
  #untakenPacket(
    chunk: Buffer,
    start: number,
    end: number,
    options: CallOptions,
  ): OutgoingPacket | null {
    const isKept = this.#settings.resendQos0;
    const { signal, timeoutMs = 0 } = options;
    if (!isKept && signal === undefined && timeoutMs === 0) return null;
    return new OutgoingPacket(0, chunk, start, isKept ? end : start);
  }

  /** Waits with the QoS 0 message that was written last until the socket has taken it. */
  #whenTaken(
    writer: Writer,
    packet: OutgoingPacket,
    options: CallOptions,
    topic: string,
  ): Promise<void> {
    this.queue.keep(packet);
    const promise = packet.promise();
    this.#untaken.add(writer, packet, this.#settings.resendQos0);
    this.#limit(packet, options, 0, topic);
    return promise;
  }

  /**
   * Sends a SUBSCRIBE or UNSUBSCRIBE, behind what is queued.
   * @throws CapacityError when the queue is full, `refusal`, or the reason of a signal that has
   *   fired already.
   */
  request(packet: OutgoingPacket, options: CallOptions, what: string): Promise<void> {
    if (this.refusal !== null) throw this.refusal;
    options.signal?.throwIfAborted();
    if (packet.frameBytes > this.#settings.maxOutgoingPacketBytes)
      throw tooLong(what, packet.frameBytes, this.#settings.maxOutgoingPacketBytes);
    packet.title = what;
    const fault = this.faultOf(packet);
    if (fault !== null) throw fault;
    this.queue.check(1, packet.frameBytes, this.writer);
    return this.#enqueue(packet, options, this.#settings.ackTimeoutMs, what);
  }

  /**
   * A connection is there, and CONNACK said whether the server still has the session. What was sent
   * and not answered is sent again, in the original order with the original packet ids
   * [MQTT-4.4.0-1] [MQTT-4.6.0-1], and then the queue. To a server that has lost the session the
   * messages are new: they go without DUP, and a QoS 2 message that it had received is done.
   * @param limits what the server takes.
   * @param first SUBSCRIBE packets that go before everything else; nobody waits for them.
   */
  attach(
    writer: Writer,
    sessionPresent: boolean,
    limits: ServerLimits,
    first: readonly OutgoingPacket[],
  ): void {
    this.writer = writer;
    this.limits = limits;
    this.sent.beginConnection(limits.receiveMaximum);
    this.#aliases.begin(limits.topicAliasMaximum);
    this.#sessionPresent = sessionPresent;
    writer.onLost = (messages, error) => {
      // Later: a listener may publish, and this connection has not been let go yet.
      queueMicrotask(() => this.onFailed({ error, topic: null, messages }));
    };
    if (this.#isFirstConnection && sessionPresent) {
      // The session is of an earlier process; ids that it may have left in use are passed by.
      this.sent.startAt(1 + Math.floor(Math.random() * PACKET_ID_MAX));
    }
    this.#isFirstConnection = false;
    const again: OutgoingPacket[] = [];
    for (const packet of this.sent.inOrder()) {
      if (sessionPresent || packet.awaits !== PacketType.pubcomp) again.push(packet);
      else this.answered(packet, null);
    }
    for (const packet of first) this.keepSent(packet);
    this.resend.begin([...first, ...again]);
    this.pump();
  }

  /**
   * The connection is gone; another may follow.
   * @returns whether SUBSCRIBE packets of our own have not been answered: they have to be made
   *   again.
   */
  detach(ending: Ending): boolean {
    this.writer = null;
    this.limits = NO_LIMITS;
    const sent = this.sent.inOrder();
    const rejected = this.resend.ended(ending, sent);
    if (rejected !== null) this.#reject(rejected);
    this.#requeueUntaken(ending);
    let hasOwn = false;
    for (const packet of sent) {
      if (packet.isOwn) hasOwn = true;
      if (packet.isOwn) this.forget(packet);
      else if (packet.isAbandoned) this.letGo(packet);
      else this.restoreName(packet);
    }
    return hasOwn;
  }

  /** The server speaks no MQTT 5.0: what waits is made for 3.1.1, or fails. */
  fallBack(): void {
    this.version = 4;
    for (const packet of [...this.queue.all(), ...this.sent.inOrder()]) {
      const { frameBytes } = packet;
      if (packet.fallBack()) this.queue.heldBytes += packet.frameBytes - frameBytes;
      else this.giveUp(packet, needsVersion5(`properties or options of ${packet.what}`, 4));
    }
  }

  /** Rejects the call of a packet that the server does not take. */
  #reject(packet: OutgoingPacket): void {
    const error = new PacketRejectedError(packet.what);
    this.fail(packet, error);
    if (packet.packetId !== 0) this.abandon(packet);
    this.onRejected(error);
  }

  /** QoS 0 messages that the socket had not taken are sent first on the next connection. */
  #requeueUntaken(ending: Ending): void {
    const { again, rejected } = this.#untaken.takeBack(ending);
    if (rejected !== null) {
      this.#reject(rejected);
      this.queue.release(rejected);
    }
    for (const packet of again) {
      if (packet.isSettled) this.drop(packet);
      else this.restoreName(packet);
    }
    const waiting = again.filter((packet) => !packet.isSettled);
    if (waiting.length > 0) this.queue.prepend(waiting);
  }

  /**
   * Rejects every call and forgets what was not sent. Messages in flight are kept for a session
   * that goes on, though nobody waits for them.
   */
  failAll(error: Error, keepSession: boolean): void {
    for (let packet = this.queue.shift(); packet !== undefined; packet = this.queue.shift()) {
      this.fail(packet, error);
      this.drop(packet);
    }
    for (const packet of this.sent.inOrder()) {
      this.fail(packet, error);
      if (keepSession && packet.isPublish) continue;
      this.forget(packet);
      this.drop(packet);
    }
  }

  /**
   * PUBACK, PUBREC or PUBCOMP. One that nothing waits for is passed over: a server may answer twice
   * what was sent twice.
   * @throws ProtocolError for an answer of the wrong kind.
   */
  onAck(type: number, packetId: number, reasonCode: number, properties: Properties): void {
    const packet = this.sent.get(packetId);
    const isRefused = isErrorCode(reasonCode) && type !== PacketType.pubcomp;
    if (type === PacketType.pubrec && !isRefused) {
      this.#onPubrec(packet, packetId);
      return;
    }
    if (packet === null) return;
    if (packet.awaits !== type) throw wrongAnswer(type, packetId);
    const reason = isRefused ? reasonIn(reasonCode, properties) : null;
    this.answered(packet, reason && publishRefused(packet.what, reason, type));
    if (!this.queue.isEmpty || this.resend.isUnderWay) this.pump();
  }

  /** SUBACK or UNSUBACK. @throws ProtocolError for one that nothing waits for. */
  onAnswer(type: number, packetId: number, codes: readonly number[], properties: Properties): void {
    const packet = this.sent.get(packetId);
    if (packet === null || packet.awaits !== type) throw wrongAnswer(type, packetId);
    this.answered(packet, packet.onAnswer?.(codes, properties) ?? null);
    this.pump();
  }

  /** Sends what the window and the socket have room for. */
  pump(): void {
    const writer = this.writer;
    if (writer === null) return;
    if (this.resend.isUnderWay) {
      for (;;) {
        const packet = this.resend.next(this.sent.hasQuota);
        if (packet === undefined) break;
        this.#sendAgain(writer, packet);
      }
      if (this.resend.isUnderWay) return;
    }
    for (let packet = this.queue.peek(); packet !== undefined; packet = this.queue.peek()) {
      if (writer.isBusy || !this.sent.hasRoomFor(packet.awaits)) return;
      const fault = this.faultOf(packet);
      if (fault !== null) {
        this.giveUp(packet, fault);
        continue;
      }
      this.queue.shift();
      if (packet.awaits !== 0) this.sent.add(packet);
      packet.write(writer, 0, this.#formOf(packet));
      if (packet.awaits !== 0) this.onAwaiting();
      else if (!writer.isBusy && !writer.isBehind) this.taken(packet);
      else this.#untaken.add(writer, packet, this.#settings.resendQos0);
    }
    if (this.isIdle) this.onIdle();
  }

  /** How a packet of the queue names its topic. */
  #formOf({ field, frameBytes }: OutgoingPacket): TopicForm {
    if (field === null || !this.#aliases.isOn) return TopicForm.name;
    const { maxOutgoingPacketBytes } = this.#settings;
    const bytesMax = Math.min(maxOutgoingPacketBytes, this.limits.maximumPacketSize);
    return this.#aliases.next(field, bytesMax - frameBytes);
  }

  /** Writes a packet that an earlier connection carried, or one of our own. */
  #sendAgain(writer: Writer, packet: OutgoingPacket): void {
    if (packet.isAbandoned && packet.awaits !== PacketType.pubcomp) {
      this.letGo(packet);
      if (!packet.isQos2) {
        this.resend.answered(packet);
        return;
      }
    }
    const fault = this.faultOf(packet);
    if (fault !== null) {
      this.giveUp(packet, fault);
      return;
    }
    if (packet.awaits === PacketType.pubcomp) {
      writer.writeAck(PacketType.pubrel, packet.packetId);
    } else {
      this.sent.sends(packet);
      packet.write(writer, this.#sessionPresent && packet.isPublish ? DUP : 0);
    }
    this.onAwaiting();
  }

  /** Whether a message may go straight into the batch; if not, it joins the queue. */
  #mayWrite(writer: Writer, qos: number, frameBytes: number): boolean {
    if (qos !== 0) {
      return (
        this.sent.hasRoom(qos === 2) &&
        this.queue.heldBytes + frameBytes <= this.#settings.maxQueuedBytes
      );
    }
    return !writer.isBusy || writer.unsentBytes + frameBytes <= this.#settings.maxQueuedBytes;
  }

  /** @param what the topic of a PUBLISH, a few words for another packet. */
  #enqueue(
    packet: OutgoingPacket,
    options: CallOptions,
    defaultTimeoutMs: number,
    what: string,
  ): Promise<void> {
    this.queue.push(packet);
    const promise = packet.promise();
    this.#limit(packet, options, defaultTimeoutMs, what);
    this.pump();
    return promise;
  }

  #limit(packet: OutgoingPacket, options: CallOptions, defaultMs: number, what: string): void {
    const { signal, timeoutMs = defaultMs } = options;
    if (signal === undefined && timeoutMs === 0) return;
    const title = packet.isPublish ? `PUBLISH to '${what}'` : what;
    packet.limit(options, timeoutMs, title, (error) => {
      if (packet.isPublish) this.onFailed({ error, topic: what, messages: 1 });
      if (packet.packetId !== 0) {
        // The server may answer: the id is in use until it does, or the connection ends.
        this.abandon(packet);
        this.pump();
      } else if (!packet.isWritten) {
        this.queue.gaveUp();
        this.drop(packet);
      }
    });
  }

  #onPubrec(packet: OutgoingPacket | null, packetId: number): void {
    if (packet !== null && packet.awaits === PacketType.pubrec) {
      packet.awaits = PacketType.pubcomp;
      this.queue.release(packet);
      this.resend.answered(packet);
    } else if (packet !== null && packet.awaits !== PacketType.pubcomp) {
      throw wrongAnswer(PacketType.pubrec, packetId);
    }
    // An id that nothing waits under is released too, or the server would keep it for ever.
    this.writer?.writeAck(PacketType.pubrel, packetId);
    if (this.resend.isUnderWay) this.pump();
  }
}
