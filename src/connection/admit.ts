/** Letting a client in as somebody, and the end of that where it has one. */
import type { AccessRule } from '../base/access-rule.js';
import type { Admission } from '../base/credentials.js';
import { Deadline } from '../base/deadlines.js';
import { CloseReason } from '../base/errors.js';
import { ADMISSION_LOOK_MS, LOG_TEXT_LENGTH_MAX } from '../base/limits.js';
import { giveProfile } from './client-profile.js';
import type { Connection } from './connection.js';
import { renewRateLimit } from './rate-limit.js';

/** An admission that ends: its own deadline, so that others pay nothing for it. */
export class EndingAdmission extends Deadline implements Admission {
  readonly username: string | null;
  readonly expiresAtMs: number;
  readonly rules: readonly AccessRule[] | null;
  readonly #connection: Connection;

  constructor({ username, rules }: Admission, expiresAtMs: number, connection: Connection) {
    super();
    this.username = username;
    this.expiresAtMs = expiresAtMs;
    this.rules = rules;
    this.#connection = connection;
    this.#wait();
  }

  /** It may have come to its end, or the clock may have been set. */
  onDeadline(): void {
    if (Date.now() < this.expiresAtMs) this.#wait();
    else this.#connection.close(CloseReason.admissionEnded, { detail: 'it was let in until now' });
  }

  #wait(): void {
    const { deadlines } = this.#connection.host;
    const leftMs = this.expiresAtMs - Date.now();
    deadlines.set(this, deadlines.now, Math.max(0, Math.min(leftMs, ADMISSION_LOOK_MS)));
  }
}

/**
 * Lets a client in as somebody, in the place of whom it has been before: where it has its session
 * already, by other rules perhaps.
 */
export function admit(connection: Connection, admission: Admission): void {
  if (connection.admission instanceof EndingAdmission) connection.admission.cancelDeadline();
  const { username, expiresAtMs } = admission;
  if (username !== null) connection.username = shortened(username);
  connection.admission =
    expiresAtMs === null ? admission : new EndingAdmission(admission, expiresAtMs, connection);
  const { session, host } = connection;
  giveProfile(connection);
  if (session === null) return;
  renewRateLimit(connection);
  host.access.admit(session, admission);
  connection.forgetRoutes();
}

/** It is closed: nothing is waited for any more. */
export function dismiss(connection: Connection): void {
  connection.authentication?.abandon();
  connection.enhanced?.abandon();
  if (connection.admission instanceof EndingAdmission) connection.admission.cancelDeadline();
}

/** A text for the log, in a string of its own: a part of a long one would keep the whole. */
export function shortened(text: string | null): string | null {
  if (text === null || text.length <= LOG_TEXT_LENGTH_MAX) return text;
  return `${Buffer.from(text.slice(0, LOG_TEXT_LENGTH_MAX)).toString()}…`;
}
