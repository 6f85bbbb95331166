/**
 * Waiting for what must happen: by events, with a deadline that turns a hang into a clear failure.
 */
import { setTimeout as delay } from 'node:timers/promises';

/** Whether Mosquitto stands in for the broker (see broker.ts): only to check the tests. */
export const IS_MOSQUITTO = process.argv.includes('--mosquitto');

/**
 * How long anything may take. Generous: only a fault reaches it, even on a busy machine. Against
 * Mosquitto, whose leniencies are known to reach it, less.
 */
export const DEADLINE_MS = IS_MOSQUITTO ? 3_000 : 15_000;

/**
 * Settles as `promise` does. @throws Error naming `what` when that takes longer than `deadlineMs`.
 */
export async function within<T>(
  promise: Promise<T>,
  what: string,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${deadlineMs} ms for ${what}`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Something changed: wakes all who wait for it. */
export class Changes {
  #waiting: (() => void)[] = [];

  /** Wakes every waiter. */
  notify(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /**
   * Looks at every change until `look` returns something, and returns that.
   * @throws Error with the text of `what` at the deadline; whatever `look` throws.
   */
  async until<T>(look: () => T | undefined, what: () => string): Promise<T> {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      const changed = new Promise<void>((resolve) => this.#waiting.push(resolve));
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`waited ${DEADLINE_MS} ms for ${what()}`);
      await within(changed, what(), left);
    }
  }
}

/**
 * Waits until `holds`, looking every few milliseconds: for what has no event, such as a counter.
 * @throws Error naming `what` at the deadline.
 */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  what: string,
): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited ${DEADLINE_MS} ms for ${what}`);
    await delay(2);
  }
}
