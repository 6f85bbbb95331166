/** How much a window may hold, and how it is told what one on another shard holds. */
import type { SlowConsumerPolicy } from '../base/slow-consumer-policy.js';

/** Bounds of one receiver's window. */
export interface WindowLimits {
  /** Messages sent and not yet acknowledged, 1 to 65,535. */
  readonly maxInflight: number;
  /** Messages waiting to be sent. */
  readonly maxQueuedMessages: number;
  /** Their bytes, as frames. */
  readonly maxQueuedBytes: number;
  /**
   * Bytes of the frames sent and kept to be sent again: at this many nothing new is sent. What was
   * published together may pass it. Default: none.
   */
  readonly maxInflightBytes?: number;
  /** What gives way when as much waits as may. Default: the newest. */
  readonly slowConsumerPolicy?: SlowConsumerPolicy;
  /** Bytes that wait from which on each topic keeps its newest alone, by the policy `latest`. */
  readonly outboxBytes?: number;
}

/** Bounds of one session. */
export interface SessionLimits extends WindowLimits {
  /** The listener whose own values are in them; empty or undefined: none has any. */
  readonly listener?: string;
}

/** What a window is beside its runs, as plain data that msgpackr can carry. */
export interface WindowHead {
  /** Packet id of the first message in the window's runs. */
  readonly oldestId: number;
  /** State (of inflight.ts) of each message sent; the first messages of the runs are those sent. */
  readonly states: Uint8Array;
}
