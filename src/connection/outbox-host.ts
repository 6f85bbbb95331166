/** What an outbox needs of its shard and of its connection. */
import type { CloseReason } from '../base/errors.js';
import type { SlowConsumerPolicy } from '../base/slow-consumer-policy.js';
import type { TurnArena } from '../router/turn-arena.js';
import type { Session } from '../sessions/session.js';
import type { SlowQueue, SlowQueueLimits } from '../sessions/slow-queue.js';
import type { Outbox } from './outbox.js';
import type { OutboxTotal } from './outbox-total.js';

/** What an outbox needs of its shard. */
export interface OutboxHost {
  /** Asks for a flush of this outbox at the end of the turn. */
  onDirty(outbox: Outbox): void;
  /** The outbox went over its mark. It is looked at by the sweeper until it is light again. */
  onHeavy(outbox: Outbox): void;
  /** It is light again, or closed: whoever was paused for it may go on. */
  onRelieved(outbox: Outbox): void;
  /** Messages are on their way to a session, or wait, and its deadline is not set. */
  onDelivering(session: Session): void;
  /** The socket took bytes. */
  onSent(bytes: number): void;
  /** It has taken all bytes of so many application messages. */
  onDelivered(messages: number): void;
  /** Coarse time in milliseconds. */
  readonly now: number;
  /** What deliveries are stamped with, for their time-outs: the time of the shard's deadlines. */
  readonly stamp: number;
  readonly arena: TurnArena;
  /** Buffer of SCRATCH_BYTES that every flush may use. */
  readonly scratch: Buffer;
  /** What waits in all outboxes of the shard. */
  readonly outboxTotal: OutboxTotal;
  /** Memory is to be spared: whoever is behind loses QoS 0 messages. */
  readonly shedsQos0: boolean;
  /** A client has come over its mark, and its policy is not to have its publishers wait. */
  onSlowConsumer(clientId: string): void;
  /** Makes what takes its QoS 0 messages meanwhile. */
  makeSlowQueue(isLatest: boolean, limits: SlowQueueLimits): SlowQueue;
}

/** What its client is held to. */
export interface OutboxLimits extends SlowQueueLimits {
  /** Bytes above which an outbox is heavy. */
  readonly outboxBytes: number;
  /**
   * Bytes waiting for the socket above which it stalls at once: what memory a slow reader may cost.
   */
  readonly outboxBytesMax: number;
  /** What its client loses when it is behind. */
  readonly slowConsumerPolicy: SlowConsumerPolicy;
  /** Time without reading after which it loses QoS 0 messages, in milliseconds. */
  readonly slowConsumerTimeoutMs: number;
}

/** The connection that an outbox belongs to. */
export interface OutboxOwner {
  /** So many replies wait for the socket that no more are to be caused, or few again. */
  onUnreadReplies(areMany: boolean): void;
  close(reason: CloseReason): void;
}
