/** Interest over a link that notes what is sent: peers apply and confirm when the test says so. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { Interest, unpackInterestChange } from '../../../src/router/interest.js';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { RecordKind } from '../../../src/router/records.js';

interface Change {
  readonly mask: number;
  readonly number: number;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** What was sent, in order. */
function noteChanges(sent: Change[]): PeerLink {
  const send = (
    kind: number,
    mask: number,
    number: number,
    _word1: number,
    _word2: number,
    _word3: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void => {
    assert.equal(kind, RecordKind.interest);
    sent.push({ mask, number, ...unpackInterestChange(bytes, start, end) });
  };
  return { send } as unknown as PeerLink;
}

describe('interest', () => {
  let sent: Change[];
  let interest: Interest;
  let confirmed: string[];

  beforeEach(() => {
    sent = [];
    confirmed = [];
    interest = new Interest(noteChanges(sent), 1, 4);
  });

  const wait = (...filters: string[]) =>
    interest.whenConfirmed(filters, () => confirmed.push(filters.join()));

  test('sends what a turn has collected as one change to all peers', () => {
    interest.add('a');
    interest.add('b');
    interest.remove('c');
    interest.flush();
    interest.flush();
    assert.deepEqual(sent, [{ mask: 0b1101, number: 1, added: ['a', 'b'], removed: ['c'] }]);
  });

  test('confirms when the last peer has applied the change, in the order of waiting', () => {
    // A SUBACK says that every shard routes the filter.
    interest.add('a');
    wait('a');
    interest.flush();
    interest.add('b');
    wait('b', 'a');
    wait('a');
    interest.flush();
    for (const peer of [0, 2, 3]) {
      assert.deepEqual(confirmed, []);
      interest.onConfirmed(peer, 1);
    }
    assert.deepEqual(confirmed, ['a']);
    interest.onConfirmed(2, 2);
    interest.onConfirmed(0, 2);
    assert.deepEqual(confirmed, ['a']);
    interest.onConfirmed(3, 2);
    assert.deepEqual(confirmed, ['a', 'b,a', 'a']);
  });

  test('a filter that all route already is confirmed at once', () => {
    wait('known', 'other');
    wait();
    assert.deepEqual(confirmed, ['known,other', '']);
    interest.add('a');
    interest.flush();
    for (const peer of [0, 2, 3]) interest.onConfirmed(peer, 1);
    wait('a');
    assert.equal(confirmed.length, 3);
  });

  test('a filter that was added and not yet sent is waited for', () => {
    interest.add('a');
    wait('a');
    for (const peer of [0, 2, 3]) interest.onConfirmed(peer, 0);
    assert.deepEqual(confirmed, []);
  });

  test('removed and added again in one turn is wanted, added and removed is not', () => {
    // Peers apply what a change adds first, then what it removes.
    interest.remove('a');
    interest.add('a');
    interest.add('b');
    interest.remove('b');
    interest.flush();
    const wanted = new Set(['a']);
    for (const { added, removed } of sent) {
      for (const filter of added) wanted.add(filter);
      for (const filter of removed) wanted.delete(filter);
    }
    assert.deepEqual([...wanted], ['a']);
    wait('a');
    interest.onConfirmed(0, 2);
    interest.onConfirmed(2, 2);
    interest.onConfirmed(3, 1);
    assert.deepEqual(confirmed, [], 'not by the change that removed it');
    interest.onConfirmed(3, 2);
    assert.deepEqual(confirmed, ['a']);
  });

  test('nobody waits for a peer that has died', () => {
    interest.add('a');
    wait('a');
    interest.flush();
    interest.onConfirmed(0, 1);
    interest.onConfirmed(3, 1);
    interest.dropPeer(2);
    assert.deepEqual(confirmed, ['a']);
    assert.equal(interest.peers, 0b1001);
  });

  test('what was collected before the last peer died is confirmed by its end', () => {
    interest.add('a');
    wait('a');
    for (const peer of [0, 2, 3]) interest.dropPeer(peer);
    interest.flush();
    assert.deepEqual(confirmed, ['a']);
    interest.add('b');
    wait('b');
    assert.deepEqual(confirmed, ['a', 'b'], 'alone, all peers route everything');
    interest.flush();
  });

  test('a successor is told everything, and what is new waits for it too', () => {
    interest.dropPeer(2);
    interest.add('a');
    interest.welcomePeer(2, ['a', 'old']);
    assert.deepEqual(sent, [
      { mask: 0b1001, number: 1, added: ['a'], removed: [] },
      { mask: 0b0100, number: 2, added: ['a', 'old'], removed: [] },
    ]);
    wait('a');
    interest.add('b');
    wait('b');
    interest.flush();
    assert.equal(sent[2].mask, 0b1101);
    for (const peer of [0, 3]) interest.onConfirmed(peer, 3);
    assert.deepEqual(confirmed, []);
    interest.onConfirmed(2, 2);
    assert.deepEqual(confirmed, ['a']);
    interest.onConfirmed(2, 3);
    assert.deepEqual(confirmed, ['a', 'b']);
  });

  test('what a dead peer had confirmed its successor has yet to', () => {
    interest.add('a');
    wait('a');
    interest.flush();
    interest.onConfirmed(2, 1);
    interest.dropPeer(2);
    interest.welcomePeer(2, ['a']);
    interest.onConfirmed(0, 2);
    interest.onConfirmed(3, 2);
    assert.deepEqual(confirmed, []);
    interest.onConfirmed(2, 2);
    assert.deepEqual(confirmed, ['a']);
  });

  test('a callback may subscribe again', () => {
    interest.add('a');
    interest.whenConfirmed(['a'], () => {
      interest.add('b');
      wait('b');
    });
    interest.flush();
    for (const peer of [0, 2, 3]) interest.onConfirmed(peer, 1);
    assert.deepEqual(confirmed, []);
    interest.flush();
    for (const peer of [0, 2, 3]) interest.onConfirmed(peer, 2);
    assert.deepEqual(confirmed, ['b']);
  });

  test('peers that have confirmed a filter route it, whatever came and went', () => {
    const step = fc.record({
      what: fc.nat(5),
      filter: fc.constantFrom('a', 'b', 'c'),
      peer: fc.nat(1),
    });
    const property = fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const changes: Change[] = [];
      const tested = new Interest(noteChanges(changes), 2, 3);
      const local = new Set<string>();
      let changesMade = 0;
      /** Per filter: which of the changes made subscribed it last. */
      const subscribedBy = new Map<string, number>();
      /** By peer: changes applied, and the filters it routes here. */
      const applied = [0, 0];
      const routed = [new Set<string>(), new Set<string>()];
      const apply = (peer: number) => {
        if (applied[peer] === changes.length) return;
        const { added, removed, number } = changes[applied[peer]++];
        for (const filter of added) routed[peer].add(filter);
        for (const filter of removed) routed[peer].delete(filter);
        tested.onConfirmed(peer, number);
      };
      for (const { what, filter, peer } of steps) {
        if (what === 0) tested.flush();
        else if (what < 3) apply(peer);
        else if (local.has(filter)) {
          local.delete(filter);
          tested.remove(filter);
        } else {
          local.add(filter);
          const mine = ++changesMade;
          subscribedBy.set(filter, mine);
          tested.add(filter);
          tested.whenConfirmed([filter], () => {
            // Unsubscribed meanwhile: the SUBACK may come whenever it likes.
            if (!local.has(filter) || subscribedBy.get(filter) !== mine) return;
            assert.ok(routed.every((filters) => filters.has(filter)));
          });
        }
      }
      tested.flush();
      for (const peer of [0, 1]) while (applied[peer] < changes.length) apply(peer);
      assert.deepEqual([...routed[0]].sort(), [...local].sort());
      assert.deepEqual([...routed[1]].sort(), [...local].sort());
      let waiting = local.size;
      for (const filter of local) tested.whenConfirmed([filter], () => waiting--);
      assert.equal(waiting, 0);
    });
    fc.assert(property, { numRuns: 300 });
  });
});
