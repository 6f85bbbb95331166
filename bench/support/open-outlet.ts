/** The outlet of a client that keeps up with everything: of measurements and of tests. */
import type { Outlet } from '../../src/sessions/session.js';

/** Takes everything; what becomes of it is said by those that extend it. */
export class OpenOutlet implements Outlet {
  readonly isStalled = false;
  readonly isBlocked = false;
  readonly isHeavy = false;
  readonly isOverfull = false;
  readonly isLagging = false;
  readonly keepsUp = true;
  readonly slowQueue = null;
  feeders = null;
  append(_start: number, _end: number, _messages?: number): void {}
  wake(): void {}
  closeConnection(): void {}
}
