/** The connection of a session, for tests that have no socket. */
import type { Outlet } from '../../src/sessions/session.js';

/** A test may set what a session only reads. */
export type TestOutlet = { -readonly [Name in keyof Outlet]: Outlet[Name] };

/** One that keeps up and takes no notice, but for what is the test's `own`. */
export function makeOutlet(own: Partial<TestOutlet>): TestOutlet {
  return {
    isStalled: false,
    slowQueue: null,
    isBlocked: false,
    isHeavy: false,
    isOverfull: false,
    feeders: null,
    isLagging: false,
    keepsUp: true,
    append() {},
    wake() {},
    closeConnection() {},
    ...own,
  };
}
