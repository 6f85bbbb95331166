/** Who a client has been let in as: made from what authenticators answer, whoever wrote them. */
import type { AccessAction, AccessRule } from '../base/access-rule.js';
import type { Admission } from '../base/credentials.js';
import { ADMISSION_RULES_MAX, STRING_BYTES_MAX } from '../base/limits.js';

/** Of all clients that have said nothing of themselves, or nothing that anybody has checked. */
export const ANONYMOUS: Admission = Object.freeze({
  username: null,
  expiresAtMs: null,
  rules: null,
});

const ACTIONS: readonly unknown[] = ['publish', 'read', 'subscribe'] satisfies AccessAction[];

/** Of all clients that nobody was asked about. */
export const UNASKED: Admission = Object.freeze({ ...ANONYMOUS });

/** Of a user that the password file or the configuration knows. */
export class KnownAdmission implements Admission {
  readonly username: string;
  readonly expiresAtMs = null;
  readonly rules = null;
  /** Of the user, as its password was: see User. */
  readonly stamp: string;

  constructor(username: string, stamp: string) {
    this.username = username;
    this.stamp = stamp;
  }
}

/** Of a user whose rights and limits are those that it is configured to have. */
export function admissionOf(username: string | null): Admission {
  return username === null ? ANONYMOUS : { username, expiresAtMs: null, rules: null };
}

/**
 * An answer as an Admission; undefined for one that is none. The rest of what an authenticator has
 * put there is left behind.
 */
export function readAdmission(given: unknown): Admission | undefined {
  if (given === UNASKED || given instanceof KnownAdmission) return given as Admission;
  try {
    return typeof given === 'object' && given !== null ? fieldsOf(given) : undefined;
  } catch {
    // Somebody's getter has thrown.
    return undefined;
  }
}

function fieldsOf(given: object): Admission | undefined {
  const { username, expiresAtMs = null, rules = null } = given as Partial<Admission>;
  const isName = username === null || isText(username);
  const isTime = expiresAtMs === null || Number.isFinite(expiresAtMs);
  const areRules = rules === null || isListOfRules(rules);
  if (!isName || !isTime || !areRules) return undefined;
  return { username, expiresAtMs, rules: rules === null ? null : rules.map(copyOf) };
}

/** Whether the time until which it lets somebody in has come. */
export function isOver({ expiresAtMs }: Admission): boolean {
  return expiresAtMs !== null && expiresAtMs <= Date.now();
}

function isText(given: unknown): given is string {
  return typeof given === 'string' && Buffer.byteLength(given) <= STRING_BYTES_MAX;
}

function isListOfRules(given: unknown): given is readonly AccessRule[] {
  return Array.isArray(given) && given.length <= ADMISSION_RULES_MAX && given.every(isRule);
}

function isRule(given: unknown): given is AccessRule {
  if (typeof given !== 'object' || given === null) return false;
  const { effect, actions, filter } = given as Partial<AccessRule>;
  const areActions = Array.isArray(actions) && actions.every((one) => ACTIONS.includes(one));
  return (effect === 'allow' || effect === 'deny') && areActions && isText(filter);
}

function copyOf({ effect, actions, filter }: AccessRule): AccessRule {
  return { effect, actions: [...actions], filter };
}
