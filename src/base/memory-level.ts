/**
 * How much of the memory that the process may use is used, as one word that all threads share: the
 * primary looks, and says what it has found.
 */
import { totalmem } from 'node:os';
import { constrainedMemory } from 'node:process';

/** From one on everything of those before it holds as well. */
export const MemoryLevel = {
  ample: 0,
  /** QoS 0 messages to readers that are behind are shed, and replays of retained messages wait. */
  high: 1,
  /** Nothing new is kept: sessions, subscriptions, retained messages, messages for the absent. */
  short: 2,
  /** Publishers are read now and then. */
  critical: 3,
} as const;
export type MemoryLevel = (typeof MemoryLevel)[keyof typeof MemoryLevel];

/** By level: the part of the limit from which on it holds. */
const FROM_SHARE = [0, 0.8, 0.85, 0.9] as const;
/** A level ends so much below: what is taken again would bring it back at once. */
const HYSTERESIS = 0.05;
/** Part of what a machine or container has that is the limit where none is set. */
const DEFAULT_SHARE = 0.9;

/** The level at which so much is used, behind `before`. */
export function levelOf(usedBytes: number, limitBytes: number, before: MemoryLevel): MemoryLevel {
  const share = usedBytes / limitBytes;
  let level = MemoryLevel.critical as number;
  while (level > 0 && share < FROM_SHARE[level]! - (level <= before ? HYSTERESIS : 0)) level--;
  return level as MemoryLevel;
}

/** Bytes that are left below the level at which publishers are paused; negative beyond it. */
export function leftBelowCritical(usedBytes: number, limitBytes: number): number {
  return FROM_SHARE[MemoryLevel.critical] * limitBytes - usedBytes;
}

/** The limit of the process in bytes. @param setting 0: part of what there is. */
export function memoryLimit(setting: number): number {
  if (setting > 0) return setting;
  const allowed = constrainedMemory();
  // 0, or more than there is, where nobody limits it.
  const there = allowed > 0 ? Math.min(allowed, totalmem()) : totalmem();
  return Math.floor(there * DEFAULT_SHARE);
}

/** Makes the shared word: ample. */
export function createMemoryWord(): SharedArrayBuffer {
  return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
}
