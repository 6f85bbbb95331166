/**
 * Bounds on what a client may ask of the broker, and on what the broker takes on while it has too
 * much: a part of limits.ts, which exports them. The settings among them are OVERLOAD_SETTINGS.
 */
import type { NumberSetting } from './limits.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Between two log lines of a shard about one limit, in milliseconds: a client that is at it stays
 * there for hours, and a counter has every case.
 */
export const LIMIT_LOG_INTERVAL_MS = 10_000;

/**
 * Clients of the process whose debts of a rate are remembered, 64 KiB of them: those that owe most.
 * Each is one that has sent too much lately, so that others are not in it.
 */
export const RATE_DEBTS_MAX = 4_096;
/** Places in which a client may be noted. */
export const RATE_DEBT_PLACES = 8;
/**
 * Longest debt that is carried to a client's next connection: one read of the smallest messages is
 * worth some hours at a message a second. What is mended is not shut out for longer.
 */
export const RATE_DEBT_MS_MAX = 3_600_000;

/**
 * Between two looks whether a client has left of which nothing is read, in milliseconds: one that
 * waits for its rate and owes more than this, or for the disk, is closed then. Else one that sends
 * a read full of messages and leaves, again and again, would hold thousands of descriptors for
 * hours.
 */
export const LEFT_LOOK_MS = 5_000;

/**
 * Between two looks of the primary at what the process uses, in milliseconds: at most, and at least
 * when little is left. A look takes some 10 us.
 */
export const MEMORY_LOOK_MS_MAX = 250;
export const MEMORY_LOOK_MS_MIN = 5;
/** How fast memory may be used up: as fast as clients on loopback can send, a byte for a byte. */
export const MEMORY_GROWTH_BYTES_PER_MS = 2 * MIB;
/**
 * Publishers of a shard that are read for once every SWEEP_MS while all are paused for memory: with
 * the largest reads 20 MiB a second.
 */
export const PAUSED_PUBLISHERS_READ = 8;
/** Between two collections of a shard while memory is short, in milliseconds: some 50 ms each. */
export const PRESSURE_RETURN_MS = 2_000;
/** Parts of the memory limit that these may take at most, whatever is set for each. */
export const MEMORY_PARTS = { queued: 1 / 2, unfinished: 1 / 8, outboxes: 1 / 8, retained: 1 / 4 };

/** Defaults and ranges, by their name in the configuration; 0 is no limit. */
export const OVERLOAD_SETTINGS = {
  /** What is right for a plant floods another's: whoever runs the broker has to say. */
  maxMessageRate: { default: 0, min: 0, max: 100_000_000 },
  /** At least what a read takes in of a slow network; below, packets would take minutes. */
  maxByteRate: { default: 0, min: 0, max: 64 * 1024 * MIB },
  /** `maxPacketBytes` bounds it anyhow. */
  maxPayloadBytes: { default: 0, min: 0, max: 256 * MIB },
  /** MQTT's own bound is 65,535; 0 leaves it at that. */
  maxTopicBytes: { default: 0, min: 0, max: 65_535 },
  /** TOPIC_LEVELS_MAX holds anyhow. */
  maxTopicLevels: { default: 0, min: 0, max: 201 },
  /** Whoever runs the broker knows whether a user is one device or a fleet. */
  maxConnectionsPerUser: { default: 0, min: 0, max: 10_000_000 },
  /** A client notices a quarter of a second; a storm of connections delays a turn by less. */
  maxLoopDelayMs: { default: 250, min: 0, max: 60_000 },
  /** 0: nine tenths of what the machine or container has. */
  memoryLimitBytes: { default: 0, min: 0, max: 16 * 1024 * 1024 * MIB },
  /** 256 slow readers at their marks. */
  maxOutboxTotalBytes: { default: 256 * MIB, min: 1 * MIB, max: 64 * 1024 * MIB },
  /** They are handled in parts, so that nobody waits; `maxSubscriptions` bounds them anyhow. */
  maxFiltersPerSubscribe: { default: 0, min: 0, max: 10_000_000 },
} as const satisfies Record<string, NumberSetting>;
