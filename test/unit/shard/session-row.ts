/** The row of a session on disk, to be varied. */
import type { SessionRow } from '../../../src/shard/session-rows.js';

/** Of a session that never ends, has nothing, and was there with shard 0. */
export const SESSION_ROW: SessionRow = {
  home: 0,
  expiryMs: Number.POSITIVE_INFINITY,
  protocolVersion: 5,
  username: null,
  rules: null,
  leftAt: 0,
  mayBeSent: 0,
  next: 0,
  lookedTo: 0,
  will: null,
  willAt: 0,
};
