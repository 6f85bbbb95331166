/**
 * The packets of a client that wait, to be sent or to be answered, and the ways in which each of
 * them ends: what `Outgoing` does its work on.
 */
import type { PacketRejectedError } from '../base/errors.js';
import { RETAIN } from '../protocol/fixed-header.js';
import { PacketType } from '../protocol/packet.js';
import type { ProtocolLevel } from './handshake.js';
import type { ClientSettings } from './options.js';
import type { PublishFailure } from './outgoing-faults.js';
import type { OutgoingPacket } from './outgoing-packet.js';
import { OutgoingQueue } from './outgoing-queue.js';
import { Resend } from './resend.js';
import { limitFault, NO_LIMITS, type ServerLimits } from './server-limits.js';
import { Window } from './window.js';
import type { Writer } from './writer.js';

/** Keeps them, and settles their calls. */
export class OutgoingLedger {
  /** Why nothing is accepted any more; null while it is. */
  refusal: Error | null = null;
  /** Called when an answer is waited for that was not before: reading must not be paused then. */
  onAwaiting: () => void = () => {};
  /** Called when nothing waits any more. */
  onIdle: () => void = () => {};
  /** Told of messages that failed: nobody need wait for their promises. */
  onFailed: (failure: PublishFailure) => void = () => {};
  /** Told of a packet that the server twice answered by closing the connection. */
  onRejected: (error: PacketRejectedError) => void = () => {};
  /** What is sent now: in 5.0 until a server refuses that. */
  version: ProtocolLevel;
  protected readonly queue: OutgoingQueue;
  protected readonly sent: Window;
  protected readonly resend: Resend = new Resend();
  protected writer: Writer | null = null;
  protected limits: ServerLimits = NO_LIMITS;

  constructor(settings: ClientSettings) {
    this.version = settings.protocolVersion;
    this.queue = new OutgoingQueue(settings);
    this.sent = new Window(settings);
  }

  /** Nothing waits to be sent, taken or answered. */
  get isIdle(): boolean {
    return this.queuedMessages === 0 && this.sent.count === 0 && this.writer?.isBehind !== true;
  }

  /** Packets that wait to be sent. */
  get queuedMessages(): number {
    return this.queue.count;
  }

  /** Packets that were sent and not answered yet. */
  get inflight(): number {
    return this.sent.count;
  }

  /** The socket has taken a QoS 0 message. */
  protected taken(packet: OutgoingPacket): void {
    this.queue.release(packet);
    packet.succeed();
  }

  protected fail(packet: OutgoingPacket, error: unknown): void {
    if (packet.isSettled) return;
    const { topic, isPublish } = packet;
    packet.fail(error);
    if (isPublish) this.onFailed({ error, topic, messages: 1 });
  }

  /** Nobody waits for a packet that was sent: it holds up nothing, and is not sent again. */
  protected abandon(packet: OutgoingPacket): void {
    this.sent.abandon(packet);
    if (packet.isPublish) this.queue.release(packet);
  }

  protected keepSent(packet: OutgoingPacket): void {
    this.sent.add(packet);
    this.queue.keep(packet);
    this.onAwaiting();
  }

  protected answered(packet: OutgoingPacket, error: Error | null): void {
    // Before its frame goes, which has the topic.
    if (error !== null) this.fail(packet, error);
    this.forget(packet);
    packet.succeed();
    if (this.isIdle) this.onIdle();
  }

  /** Takes a packet that was sent out of the table: its id is free. */
  protected forget(packet: OutgoingPacket): void {
    this.sent.remove(packet);
    this.resend.answered(packet);
    this.queue.release(packet);
  }

  /** The connection is gone on which an alias stood for the topic of a packet. */
  protected restoreName(packet: OutgoingPacket): void {
    const { frameBytes } = packet;
    packet.restoreName();
    this.queue.heldBytes += packet.frameBytes - frameBytes;
  }

  /** A packet will neither be sent any more nor answered. */
  protected drop(packet: OutgoingPacket): void {
    this.queue.release(packet);
    packet.onDropped?.();
    packet.onDropped = null;
  }

  /** A packet is not sent, or not sent again, though its call waits. */
  protected giveUp(packet: OutgoingPacket, error: Error): void {
    const { isSettled } = packet;
    this.fail(packet, error);
    if (packet.packetId !== 0) this.forget(packet);
    else if (!isSettled) this.queue.gaveUp();
    this.drop(packet);
  }

  /** What keeps a packet from being sent to this server; null for nothing. */
  protected faultOf(packet: OutgoingPacket): Error | null {
    const { awaits, frameBytes, what } = packet;
    if (awaits === PacketType.pubcomp || this.limits === NO_LIMITS) return null;
    const fault = packet.faultOf?.(this.limits) ?? null;
    if (fault !== null) return fault;
    const flags = packet.isPublish ? packet.buffer[packet.start] : 0;
    return limitFault(this.limits, (flags >> 1) & 3, (flags & RETAIN) !== 0, frameBytes, what);
  }

  /**
   * An abandoned packet is not sent again. Whether the server has a QoS 2 message nobody knows: its
   * id is in use until a PUBREL has freed it [MQTT-2.3.1-2], and PUBCOMP comes in any case
   * [MQTT-4.3.3-2].
   */
  protected letGo(packet: OutgoingPacket): void {
    if (packet.isQos2) {
      packet.awaits = PacketType.pubcomp;
      this.queue.release(packet);
      return;
    }
    this.forget(packet);
    this.drop(packet);
  }
}
