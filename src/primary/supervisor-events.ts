/** What the life of the shards is to whoever has them started. */
import type { ToPrimary } from '../shard/control.js';

/** What the supervisor tells its owner. Called from event handlers: they must not throw. */
export interface SupervisorEvents {
  /** A message that is not about the shard's life. */
  onMessage(shardIndex: number, message: ToPrimary): void;
  /** The shard is there and may be sent messages; nothing has reached it yet. */
  onLaunched(shardIndex: number): void;
  /** The shard may be given connections. */
  onLive(shardIndex: number): void;
  /**
   * The shard is no more; its peers have been told. Not called for a shard that cannot start at
   * all, nor for one that ends when asked to.
   */
  onDead(shardIndex: number, cause: Error): void;
  /** The thread of a dead shard is gone: nothing of it uses a descriptor any longer. */
  onThreadGone(shardIndex: number): void;
  /** Too many deaths: no shard is replaced any more. The owner should stop everything. */
  onFailed(error: Error): void;
}
