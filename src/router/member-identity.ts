/** Who the members of groups are, as the owners of the groups are told. */
import { RecordError } from '../base/errors.js';
import { MEMBER_IDENTITY_MAX } from '../base/limits.js';
import { isShareFilter, parseShareFilter } from '../protocol/v5/index.js';
import type { Session } from '../sessions/session.js';
import { isValidTopicFilter } from '../topics/topic.js';
import type { MemberIdentity } from './group-parts.js';
import { unpackRecord } from './record-body.js';
import type { GroupJoin } from './records.js';

/** Characters of a rule beside its filter. */
const RULE_OVERHEAD = 48;

/** What stands for somebody that is not told of: all is allowed, or nothing. */
const ANYBODY: MemberIdentity = { clientId: '', username: null, rules: null };
const NOBODY: MemberIdentity = {
  ...ANYBODY,
  rules: [{ effect: 'deny', actions: ['publish', 'read', 'subscribe'], filter: '#' }],
};

/** Who a session is, as the owners of its groups are told. */
export function identityOf(session: Session): MemberIdentity {
  const { clientId, username, rules, rights } = session;
  if (!isLongIdentity(session)) return { clientId, username, rules };
  return rights === null ? ANYBODY : NOBODY;
}

/** Whether it is too long to be told. */
export function isLongIdentity({ clientId, username, rules }: Session): boolean {
  let length = clientId.length + (username?.length ?? 0);
  for (const { filter } of rules ?? []) length += filter.length + RULE_OVERHEAD;
  return length > MEMBER_IDENTITY_MAX;
}

/**
 * The body of a groupJoin, which lies in [start, end) of a ring.
 * @throws RecordError when it is none.
 */
export function readJoin(buffer: Buffer, start: number, end: number): GroupJoin {
  const join = unpackRecord(buffer, start, end) as Partial<GroupJoin>;
  const { groupKey, clientId, username, rules, isKept } = join;
  const isSomebody = typeof clientId === 'string' && username !== undefined && rules !== undefined;
  const isWhole = isSomebody && typeof isKept === 'boolean';
  if (isWhole && typeof groupKey === 'string' && isShareFilter(groupKey)) {
    const parts = parseShareFilter(groupKey);
    const isGroup = parts !== null && isValidTopicFilter(parts.filter);
    if (isGroup) return { groupKey, clientId, username, rules, isKept };
  }
  throw new RecordError('a member joins no group');
}
