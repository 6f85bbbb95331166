/** What access rules cost a SUBSCRIBE is part of its client's share of the turn. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AccessTable } from '../../../src/access/access-table.js';
import { rulesLookedAt } from '../../../src/access/rights.js';
import type { AccessRule } from '../../../src/base/access-rule.js';
import { RULES_PER_PART } from '../../../src/base/limits.js';
import type { ConnectionHost } from '../../../src/connection/host.js';
import { TurnShare } from '../../../src/connection/turn-share.js';
import { subscribe } from '../../support/packets.js';
import { LoneConnection } from './lone-connection.js';

const RULES = 10_000;
const FILTERS = 64;

function rulesFor(count: number): AccessRule[] {
  return Array.from({ length: count }, (_, at) => ({
    effect: 'allow',
    actions: ['read', 'subscribe'],
    filter: `plant/${at}/+`,
  }));
}

/** Rules that were looked at between two looks at the clock, while SUBSCRIBEs are handled. */
function looksOf(rules: number, packets: Buffer): number[] {
  const looks: number[] = [];
  // Each look at the clock finds that there is time.
  const share = new TurnShare(1, () => {
    looks.push(rulesLookedAt.count);
    rulesLookedAt.count = 0;
    return 0;
  });
  const subscribed: string[] = [];
  const lone = new LoneConnection({
    share,
    subscribe: (_, filters) => void subscribed.push(...filters.map(([filterKey]) => filterKey)),
  } as Partial<ConnectionHost>);
  lone.open();
  const table = new AccessTable({ aclFile: null, rules: rulesFor(rules), users: [] });
  lone.connection.session!.rights = table.rightsOf(null, 'c', null);
  rulesLookedAt.count = 0;
  lone.read(packets);
  assert.equal(subscribed.length, FILTERS);
  return looks;
}

// None of them matches before the last rule.
const filters = Array.from({ length: FILTERS }, (_, n): [string, number] => [`+/9999/${n}`, 0]);

test('one SUBSCRIBE of many filters has the clock looked at behind each, of many rules', () => {
  const looks = looksOf(RULES, subscribe(1, ...filters));
  // One filter is not interrupted; two of them never come without a look.
  const most = Math.max(...looks);
  assert.ok(most >= RULES && most < 2 * RULES, `${most} rules between two looks`);
  assert.ok(looks.filter((count) => count >= RULES).length >= FILTERS - 1);
});

test('many SUBSCRIBEs of one filter have it looked at behind each', () => {
  const packets = filters.map((filter, n) => subscribe(n + 1, filter));
  const most = Math.max(...looksOf(RULES, Buffer.concat(packets)));
  assert.ok(most < 2 * RULES, `${most} rules between two looks`);
});

test('where rules are few, filters are taken as many at a time as without', () => {
  const few = filters.map(([, qos], n): [string, number] => [`plant/${n % 8}/+`, qos]);
  const looks = looksOf(8, subscribe(1, ...few));
  assert.ok(looks.length <= 2 + FILTERS / 16 + 2, `${looks.length} looks`);
  assert.ok(Math.max(...looks) < RULES_PER_PART);
});
