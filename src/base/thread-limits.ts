/**
 * Bounds of threads, of their start and stop, and of who waits for a place in one: the part of
 * limits.ts that knows of more than one shard.
 */

const KIB = 1024;

/** Shards that one interest mask (a 32-bit word) can name. */
export const SHARDS_MAX = 32;
/**
 * Deaths of shards within SHARD_DEATH_WINDOW_MS after which the server gives up: it is not getting
 * better.
 */
export const SHARD_DEATHS_MAX = 5;
export const SHARD_DEATH_WINDOW_MS = 60_000;
/**
 * A shard that is not ready by then is taken for dead, nor has loaded more for so long. A provider
 * may have a large store to open.
 */
export const SHARD_START_TIMEOUT_MS = 30_000;
/**
 * How long the primary waits for a dead shard's thread to be gone; one that stays keeps its
 * descriptors.
 */
export const THREAD_EXIT_TIMEOUT_MS = 5_000;
/**
 * Stop, first step: putting what was read on the rings takes a turn, and more only if a peer's ring
 * is full.
 */
export const QUIESCE_TIMEOUT_MS = 3_000;
/** Stop, second step: outboxes are flushed to clients that read; those that do not are cut off. */
export const STOP_TIMEOUT_MS = 5_000;
/**
 * After its deadline a shard has this long to close its providers and end; then its thread is
 * ended.
 */
export const STOP_GRACE_MS = 500;
/**
 * Claims that may wait for one client id to settle. Each will be taken over by the next; many
 * clients that share an id by mistake and reconnect at once must not grow a queue.
 */
export const CLAIMS_WAITING_MAX = 16;
/**
 * CONNECTs of a shard that may wait for its authenticator: some 10,000 a second come in a storm, so
 * one that takes 0.3 s for each still gets them all. Beyond, clients are told to come again.
 */
export const AUTHENTICATIONS_WAITING_MAX = 4_096;
/**
 * Bytes behind a CONNECT that are read before it is answered. Reading must go on, or nobody would
 * see that the client has left; with more than this waiting it stops until the answer.
 */
export const PIPELINED_BYTES_MAX = 16 * KIB;
/**
 * Waiting connections the kernel keeps for us. One that overflows costs a client a full second of
 * SYN retry.
 */
export const LISTEN_BACKLOG = 4_096;
/** Refused connections are logged this often, in milliseconds, however many they are. */
export const REFUSAL_LOG_INTERVAL_MS = 1_000;
/**
 * How often the acceptor looks whether a descriptor is left, in milliseconds: a few microseconds
 * each time.
 */
export const DESCRIPTOR_PROBE_INTERVAL_MS = 1_000;

/**
 * Young generation of a shard's heap. What happens for each message makes no garbage, so a small
 * one does; V8's own 48 MiB would stay resident after every storm of connections. Measured with
 * 9,000 idle connections: 6.6 KB each instead of 8.7.
 */
export const SHARD_YOUNG_GENERATION_MIB = 6;
