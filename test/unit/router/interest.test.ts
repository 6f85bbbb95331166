/** Interest over a link that notes what is sent: peers apply and confirm when the test says so. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { INTEREST_PIECE_BYTES, INTEREST_PIECES_AHEAD } from '../../../src/base/handover-limits.js';
import { Interest, unpackInterestChange } from '../../../src/router/interest.js';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { RecordKind } from '../../../src/router/records.js';

/** The end of a welcome. */
const END = { added: [], removed: [] };

interface Change {
  readonly mask: number;
  readonly number: number;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly orphaned?: unknown;
}

/** What was sent, in order. */
function noteChanges(sent: Change[]): PeerLink {
  const send = (
    kind: number,
    mask: number,
    low: number,
    high: number,
    _word2: number,
    _word3: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void => {
    assert.equal(kind, RecordKind.interest);
    const number = high * 2 ** 32 + low;
    sent.push({ mask, number, ...unpackInterestChange(bytes, start, end) });
  };
  return { send, addWork() {} } as unknown as PeerLink;
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

  test('tells of filters that wait for a dead shard behind what is collected', () => {
    interest.add('a');
    wait('a');
    interest.tellOrphaned(0, new Set(['o']), () => confirmed.push('told'));
    assert.deepEqual(
      sent.map(({ number, added, orphaned }) => ({ number, added, orphaned })),
      [
        { number: 1, added: ['a'], orphaned: undefined },
        { number: 2, added: [], orphaned: { shard: 0, filters: ['o'] } },
      ],
    );
    for (const peer of [0, 2, 3]) interest.onConfirmed(peer, 1, 0);
    assert.deepEqual(confirmed, ['a']);
    for (const peer of [0, 2, 3]) interest.onConfirmed(peer, 2, 0);
    assert.deepEqual(confirmed, ['a', 'told']);
  });

  test('has told at once where there is nothing to tell, or nobody', () => {
    interest.tellOrphaned(0, new Set(), () => confirmed.push('nothing'));
    for (const peer of [0, 2, 3]) interest.dropPeer(peer);
    interest.tellOrphaned(0, new Set(['o']), () => confirmed.push('nobody'));
    assert.deepEqual([confirmed, sent], [['nothing', 'nobody'], []]);
  });

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
      interest.onConfirmed(peer, 1, 0);
    }
    assert.deepEqual(confirmed, ['a']);
    interest.onConfirmed(2, 2, 0);
    interest.onConfirmed(0, 2, 0);
    assert.deepEqual(confirmed, ['a']);
    interest.onConfirmed(3, 2, 0);
    assert.deepEqual(confirmed, ['a', 'b,a', 'a']);
  });

  test('a filter that all route already is confirmed at once', () => {
    wait('known', 'other');
    wait();
    assert.deepEqual(confirmed, ['known,other', '']);
    interest.add('a');
    interest.flush();
    for (const peer of [0, 2, 3]) interest.onConfirmed(peer, 1, 0);
    wait('a');
    assert.equal(confirmed.length, 3);
  });

  test('a filter that was added and not yet sent is waited for', () => {
    interest.add('a');
    wait('a');
    for (const peer of [0, 2, 3]) interest.onConfirmed(peer, 0, 0);
    assert.deepEqual(confirmed, []);
  });

  /** All peers apply the change with this number. */
  const confirm = (number: number): void => {
    for (const peer of [0, 2, 3]) interest.onConfirmed(peer, number, 0);
  };

  test('says nothing of filters that went and came, or came and went, in one turn', () => {
    interest.add('a');
    interest.flush();
    confirm(1);
    sent.length = 0;
    for (let n = 0; n < 3; n++) {
      interest.remove('a');
      interest.add('a');
      interest.add('b');
      interest.remove('b');
    }
    wait('a');
    assert.deepEqual(confirmed, ['a'], 'all peers route it');
    interest.flush();
    assert.deepEqual(sent, []);
  });

  test('who waits for a filter that came and went is answered', () => {
    interest.add('a');
    wait('a');
    interest.remove('a');
    interest.flush();
    assert.deepEqual(sent, [{ mask: 0b1101, number: 1, added: [], removed: [] }]);
    assert.deepEqual(confirmed, []);
    confirm(1);
    assert.deepEqual(confirmed, ['a']);
  });

  test('one that went and came before all peers had confirmed it waits for them', () => {
    interest.add('a');
    interest.flush();
    interest.remove('a');
    interest.add('a');
    wait('a');
    assert.deepEqual(confirmed, []);
    interest.flush();
    confirm(2);
    assert.deepEqual(confirmed, ['a']);
  });

  test('one that went and came while a successor is told all filters is said again', () => {
    // What the successor is told is read bit by bit, and may leave out what comes meanwhile.
    interest.dropPeer(2);
    const filters = (function* () {
      for (let n = 0; ; n++) yield `x/${n}/${'x'.repeat(1_000)}`;
    })();
    interest.welcomePeer(
      2,
      filters,
      () => {},
      () => {},
    );
    sent.length = 0;
    interest.remove('a');
    interest.add('a');
    interest.flush();
    assert.deepEqual(
      sent.map(({ added, removed }) => ({ added, removed })),
      [
        { added: [], removed: ['a'] },
        { added: ['a'], removed: [] },
      ],
    );
  });

  test('nobody waits for a peer that has died', () => {
    interest.add('a');
    wait('a');
    interest.flush();
    interest.onConfirmed(0, 1, 0);
    interest.onConfirmed(3, 1, 0);
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

  /** Welcomes peer 2. */
  function welcome(...filters: string[]): { readonly steps: string[] } {
    const steps: string[] = [];
    const onTold = () => steps.push('told');
    interest.welcomePeer(2, filters, onTold, () => steps.push('welcomed'));
    return { steps };
  }

  test('a successor is told everything, and what is new waits for it too', () => {
    interest.dropPeer(2);
    interest.add('a');
    welcome('a', 'old');
    assert.deepEqual(sent, [
      { mask: 0b1001, number: 1, added: ['a'], removed: [] },
      { mask: 0b0100, number: 2, added: ['a', 'old'], removed: [] },
      { mask: 0b0100, number: 3, ...END },
    ]);
    wait('a');
    interest.add('b');
    wait('b');
    interest.flush();
    assert.equal(sent[3].mask, 0b1101);
    for (const peer of [0, 3]) interest.onConfirmed(peer, 4, 0);
    assert.deepEqual(confirmed, []);
    interest.onConfirmed(2, 2, 0);
    assert.deepEqual(confirmed, ['a']);
    interest.onConfirmed(2, 4, 0);
    assert.deepEqual(confirmed, ['a', 'b']);
  });

  test('what a dead peer had confirmed its successor has yet to', () => {
    interest.add('a');
    wait('a');
    interest.flush();
    interest.onConfirmed(2, 1, 0);
    interest.dropPeer(2);
    welcome('a');
    interest.onConfirmed(0, 2, 0);
    interest.onConfirmed(3, 2, 0);
    assert.deepEqual(confirmed, []);
    interest.onConfirmed(2, 2, 0);
    assert.deepEqual(confirmed, ['a']);
  });

  // One record with all filters could be larger than any record may be, and ended the shard.
  test('a successor is told many filters in pieces, and welcomed when it has read them all', () => {
    interest.dropPeer(2);
    const filters = Array.from({ length: 10 }, (_, at) => `${at}`.padEnd(INTEREST_PIECE_BYTES / 2));
    const { steps } = welcome(...filters);
    let read = 0;
    while (!steps.includes('welcomed')) {
      assert.ok(sent.length - read <= INTEREST_PIECES_AHEAD, 'no more than it follows');
      assert.equal(interest.toldPeers, steps.length > 0 ? 0b1101 : 0b1001);
      interest.onConfirmed(2, sent[read++].number, 0);
      interest.sendPieces();
    }
    assert.deepEqual(steps, ['told', 'welcomed']);
    assert.deepEqual(
      sent.flatMap(({ added }) => added),
      filters,
    );
    assert.deepEqual(
      sent.map(({ added }) => added.length),
      [2, 2, 2, 2, 2, 0],
    );
  });

  test('what is told waits for room in the ring', () => {
    const link = noteChanges(sent) as unknown as { backlogBytes: number };
    const tested = new Interest(link as unknown as PeerLink, 1, 4);
    link.backlogBytes = 1;
    tested.welcomePeer(
      2,
      ['a'],
      () => {},
      () => {},
    );
    assert.equal(tested.sendPieces(), false);
    assert.deepEqual(sent, []);
    link.backlogBytes = 0;
    assert.equal(tested.sendPieces(), true);
    assert.equal(sent.length, 2);
  });

  // The primary counts the answers to its welcomes.
  test('the welcome of a successor that dies in the middle is over', () => {
    interest.dropPeer(2);
    const { steps } = welcome('a');
    interest.dropPeer(2);
    assert.deepEqual(steps, ['told', 'welcomed']);
    assert.equal(interest.sendPieces(), false);
  });

  test('a turn that changes many filters sends them in several changes', () => {
    const filters = Array.from({ length: 6 }, (_, at) => `${at}`.padEnd(INTEREST_PIECE_BYTES / 2));
    for (const filter of filters) interest.add(filter);
    wait(filters[0]);
    wait(filters[5]);
    for (const filter of filters.slice(1, 5)) interest.remove(filter);
    interest.flush();
    const wanted = new Set<string>();
    for (const { number, added, removed } of sent) {
      assert.ok(added.length + removed.length <= 2);
      for (const filter of added) wanted.add(filter);
      for (const filter of removed) wanted.delete(filter);
      for (const peer of [0, 2, 3]) interest.onConfirmed(peer, number, 0);
      if (wanted.has(filters[5])) assert.equal(confirmed.length, 2);
    }
    assert.deepEqual([...wanted], [filters[0], filters[5]]);
  });

  // Confirmations named the change by 32 bits: behind the last of them no SUBACK came any more.
  test('changes are confirmed beyond the 2^32nd', () => {
    interest = new Interest(noteChanges(sent), 1, 4, 2 ** 32 - 2);
    for (const filter of ['a', 'b', 'c', 'd']) {
      interest.add(filter);
      wait(filter);
      interest.flush();
    }
    for (const peer of [0, 2, 3]) {
      for (const { number } of sent) {
        interest.onConfirmed(peer, number % 2 ** 32, Math.floor(number / 2 ** 32));
      }
    }
    assert.deepEqual(confirmed, ['a', 'b', 'c', 'd']);
    assert.equal(sent[3].number, 2 ** 32 + 1);
  });

  test('a callback may subscribe again', () => {
    interest.add('a');
    interest.whenConfirmed(['a'], () => {
      interest.add('b');
      wait('b');
    });
    interest.flush();
    for (const peer of [0, 2, 3]) interest.onConfirmed(peer, 1, 0);
    assert.deepEqual(confirmed, []);
    interest.flush();
    for (const peer of [0, 2, 3]) interest.onConfirmed(peer, 2, 0);
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
        tested.onConfirmed(peer, number, 0);
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
