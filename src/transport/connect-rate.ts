/**
 * A rate of connections in one word: the time at which all that were let in will have had their
 * due, each the same part of a second. In microseconds, of which the word holds the lowest 32 bits:
 * they begin again after 71 minutes, so what is further ahead than it can be is of the past.
 */
import { sharedMs } from '../base/clock.js';
import { RATE_WINDOW_MS } from '../base/limits.js';

const WINDOW_US = RATE_WINDOW_MS * 1_000;

/** Microseconds of the clock that all threads share, their lowest 32 bits as a signed number. */
export function sharedMicros(): number {
  return (sharedMs() * 1_000) | 0;
}

/**
 * How far `due` is ahead of `now`; 0 of a past one. A thread that has looked at the clock before
 * another, and comes behind it, finds the word a little further ahead than the window.
 */
export function aheadOf(due: number, now: number): number {
  const ahead = (due - now) | 0;
  return ahead < 0 || ahead > 2 * WINDOW_US ? 0 : ahead;
}

/**
 * The word behind one connection more. Those of a whole second may come at once.
 * @returns null if there are too many.
 */
export function dueAfterOneMore(due: number, perSecond: number, now: number): number | null {
  const ahead = aheadOf(due, now) + Math.floor(WINDOW_US / perSecond);
  return ahead > WINDOW_US ? null : (now + ahead) | 0;
}
