import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { CLAIMS_WAITING_MAX, SHARDS_MAX } from '../../../src/base/limits.js';
import { Directory, type DirectoryOutput, shardOfClaim } from '../../../src/primary/directory.js';
import type { Claim } from '../../../src/shard/control.js';

/** Claim number n of a shard. */
const numberOf = (shardIndex: number, n: number): number => shardIndex + SHARDS_MAX * n;

/** Answers as readable lines: `grant 1#0 from -1`, `release a 0#0 to 1#0 keep`, `refuse 1#3`. */
function recorder(sessionsMax?: number, userConnectionsMax?: number) {
  const lines: string[] = [];
  const name = (claim: number) => `${shardOfClaim(claim)}#${Math.floor(claim / SHARDS_MAX)}`;
  const output: DirectoryOutput = {
    grant(shardIndex, claim, from) {
      assert.equal(shardIndex, shardOfClaim(claim));
      lines.push(`grant ${name(claim)} from ${from}`);
    },
    refuse(shardIndex, claim, reason) {
      assert.equal(shardIndex, shardOfClaim(claim));
      lines.push(`refuse ${name(claim)}${reason === 'claims' ? '' : ` ${reason}`}`);
    },
    release(shardIndex, clientId, claim, to, newClaim, discard) {
      assert.equal(shardIndex, shardOfClaim(claim));
      assert.equal(to, shardOfClaim(newClaim));
      const how = discard ? 'discard' : 'keep';
      lines.push(`release ${clientId} ${name(claim)} to ${name(newClaim)} ${how}`);
    },
  };
  const directory = new Directory(output, sessionsMax, () => userConnectionsMax ?? 0);
  /** The lines since the last call. */
  const take = () => lines.splice(0);
  return { directory, take };
}

describe('directory', () => {
  let directory: Directory;
  let take: () => string[];
  const claim = (clientId: string, shardIndex: number, n: number, discard = false) =>
    directory.claim([
      { clientId, claim: numberOf(shardIndex, n), discard, isKept: !discard, user: null },
    ]);
  const settle = (shardIndex: number, n: number) => directory.settle([numberOf(shardIndex, n)]);
  const drop = (shardIndex: number, n: number) => directory.drop([numberOf(shardIndex, n)]);

  beforeEach(() => {
    ({ directory, take } = recorder());
  });

  test('a free client id is granted from nobody', () => {
    claim('a', 1, 0);
    assert.deepEqual(take(), ['grant 1#0 from -1']);
    assert.equal(directory.holderOf('a'), 1);
    assert.equal(directory.holderOf('b'), -1);
  });

  // [MQTT-3.1.4-2]: the client that is connected is disconnected.
  test('an id held elsewhere is granted from its holder, which is told to hand it over', () => {
    claim('a', 0, 0);
    settle(0, 0);
    claim('a', 1, 0);
    assert.deepEqual(take(), [
      'grant 0#0 from -1',
      'release a 0#0 to 1#0 keep',
      'grant 1#0 from 0',
    ]);
    assert.equal(directory.holderOf('a'), 1);
  });

  // [MQTT-3.1.2-6]
  test('a clean session waits until the holder has discarded its session', () => {
    claim('a', 0, 0);
    settle(0, 0);
    take();
    claim('a', 1, 0, true);
    assert.deepEqual(take(), ['release a 0#0 to 1#0 discard', 'grant 1#0 from 0']);
  });

  test('a claim by the holder itself is its own affair: granted from itself, no release', () => {
    claim('a', 2, 0);
    settle(2, 0);
    take();
    claim('a', 2, 1);
    claim('b', 2, 2, true);
    assert.deepEqual(take(), ['grant 2#1 from 2', 'grant 2#2 from -1']);
  });

  test('while a claim is not settled later ones wait, and then go one at a time in order', () => {
    claim('a', 0, 0);
    claim('a', 1, 0);
    claim('a', 2, 0, true);
    claim('a', 0, 1);
    assert.deepEqual(take(), ['grant 0#0 from -1']);
    settle(0, 0);
    assert.deepEqual(take(), ['release a 0#0 to 1#0 keep', 'grant 1#0 from 0']);
    settle(1, 0);
    assert.deepEqual(take(), ['release a 1#0 to 2#0 discard', 'grant 2#0 from 1']);
    settle(2, 0);
    assert.deepEqual(take(), ['release a 2#0 to 0#1 keep', 'grant 0#1 from 2']);
  });

  // Each message costs the shard 25 us, and a storm of connections has many.
  test('a session that begins, and ends with its connection, is settled with its grant', () => {
    claim('a', 0, 0, true);
    claim('a', 1, 0, true);
    claim('a', 2, 0, true);
    assert.deepEqual(take(), [
      'grant 0#0 from -1',
      'release a 0#0 to 1#0 discard',
      'grant 1#0 from 0',
    ]);
    drop(1, 0);
    claim('a', 0, 1, true);
    assert.deepEqual(take(), [
      'grant 2#0 from -1',
      'release a 2#0 to 0#1 discard',
      'grant 0#1 from 2',
    ]);
  });

  test('settling an old claim again does not let a later one go early', () => {
    claim('a', 0, 0);
    settle(0, 0);
    claim('a', 1, 0);
    claim('a', 2, 0);
    take();
    settle(0, 0);
    assert.deepEqual(take(), []);
  });

  test('a dropped session is forgotten', () => {
    claim('a', 0, 0);
    settle(0, 0);
    drop(0, 0);
    assert.equal(directory.size, 0);
    assert.equal(directory.claimCount, 0);
    take();
    claim('a', 1, 0);
    assert.deepEqual(take(), ['grant 1#0 from -1']);
  });

  test('the drop of a claim that is no longer the newest is ignored', () => {
    claim('a', 0, 0);
    settle(0, 0);
    claim('a', 1, 0);
    drop(0, 0);
    assert.equal(directory.holderOf('a'), 1);
  });

  test('a dropped unsettled claim makes way for the next, which finds no session', () => {
    claim('a', 0, 0);
    claim('a', 1, 0);
    take();
    drop(0, 0);
    assert.deepEqual(take(), ['grant 1#0 from -1']);
    assert.equal(directory.holderOf('a'), 1);
  });

  test('a dropped waiting claim loses its place', () => {
    claim('a', 0, 0);
    claim('a', 1, 0);
    claim('a', 2, 0);
    drop(1, 0);
    take();
    settle(0, 0);
    assert.deepEqual(take(), ['release a 0#0 to 2#0 keep', 'grant 2#0 from 0']);
  });

  test('no more than CLAIMS_WAITING_MAX claims wait: the next is refused', () => {
    claim('a', 0, 0);
    for (let n = 0; n < CLAIMS_WAITING_MAX; n++) claim('a', 1, n);
    take();
    claim('a', 2, 0);
    assert.deepEqual(take(), ['refuse 2#0']);
    assert.equal(directory.claimCount, CLAIMS_WAITING_MAX + 1);
    settle(0, 0);
    claim('a', 2, 1);
    assert.deepEqual(take(), ['release a 0#0 to 1#0 keep', 'grant 1#0 from 0']);
  });

  test('the sessions and waiting claims of a dead shard go, and who waited for it proceeds', () => {
    claim('a', 0, 0);
    claim('a', 1, 0);
    claim('b', 0, 1);
    settle(0, 1);
    claim('c', 1, 1);
    claim('c', 0, 2);
    claim('c', 2, 0);
    claim('d', 0, 3);
    claim('d', 0, 4);
    take();
    directory.shardDied(0);
    assert.deepEqual(take(), ['grant 1#0 from -1']);
    assert.equal(directory.holderOf('b'), -1);
    assert.equal(directory.holderOf('d'), -1);
    settle(1, 1);
    assert.deepEqual(take(), ['release c 1#1 to 2#0 keep', 'grant 2#0 from 1']);
    assert.equal(directory.size, 2);
    assert.equal(directory.claimCount, 2);
  });

  test('a claim granted from a shard that then dies is settled by its own shard', () => {
    claim('a', 0, 0);
    settle(0, 0);
    claim('a', 1, 0);
    claim('a', 2, 0);
    take();
    directory.shardDied(0);
    assert.deepEqual(take(), []);
    settle(1, 0);
    assert.deepEqual(take(), ['release a 1#0 to 2#0 keep', 'grant 2#0 from 1']);
  });

  test('unknown claims are ignored', () => {
    settle(0, 7);
    drop(1, 7);
    directory.shardDied(3);
    assert.deepEqual(take(), []);
  });

  test('refuses to keep more sessions than may be, and takes who has one or wants none', () => {
    ({ directory, take } = recorder(2));
    claim('a', 0, 0);
    claim('b', 0, 1);
    claim('c', 1, 0);
    claim('d', 1, 1, true);
    assert.deepEqual(take(), [
      'grant 0#0 from -1',
      'grant 0#1 from -1',
      'refuse 1#0 sessions',
      'grant 1#1 from -1',
    ]);
    for (const n of [0, 1]) settle(0, n);
    settle(1, 1);
    // Its session is there already.
    claim('a', 1, 2);
    // This one had none so far: its connection stays.
    claim('d', 0, 2);
    assert.deepEqual(take(), [
      'release a 0#0 to 1#2 keep',
      'grant 1#2 from 0',
      'refuse 0#2 sessions',
    ]);
    assert.equal(directory.holderOf('d'), 1);
    drop(0, 1);
    assert.equal(directory.keptSessions, 1);
    claim('d', 0, 3);
    assert.deepEqual(take(), ['release d 1#1 to 0#3 keep', 'grant 0#3 from 1']);
    assert.equal(directory.keptSessions, 2);
  });

  test('a session that is discarded makes room, and who waits is judged in turn', () => {
    ({ directory, take } = recorder(1));
    claim('a', 0, 0);
    claim('a', 1, 0, true);
    claim('a', 2, 0);
    take();
    settle(0, 0);
    assert.equal(directory.keptSessions, 0);
    claim('b', 0, 1);
    take();
    settle(1, 0);
    assert.deepEqual(take(), ['refuse 2#0 sessions']);
    assert.equal(directory.holderOf('a'), 1);
    assert.equal(directory.claimCount, 2);
  });
});

// ---- model
// ---------------------------------------------------------------------------------------

const SHARDS = 3;
const CLIENT_IDS = ['a', 'b'];

type Step =
  | { do: 'claim'; clientId: string; shard: number; discard: boolean; isKept: boolean }
  | { do: 'settle' | 'drop'; pick: number }
  | { do: 'die'; shard: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('claim' as const),
        clientId: fc.constantFrom(...CLIENT_IDS),
        shard: fc.nat(SHARDS - 1),
        discard: fc.boolean(),
        isKept: fc.boolean(),
      }),
    },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('settle' as const), pick: fc.nat() }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('drop' as const), pick: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('die' as const), shard: fc.nat(2) }) },
  ),
  { maxLength: 120 },
);

/**
 * The shards' side, seen from the rules: which claims are open, in order, by client id; which of
 * them is granted; where a session lies. It knows nothing of how the directory keeps its entries.
 */
class Model {
  /** Open claims of a client id in order of arrival; the first is the granted one. */
  readonly open = new Map<string, { claim: Claim; settled: boolean }[]>();
  readonly granted = new Set<number>();
  readonly directory: Directory;
  readonly #sessionsMax: number;
  refused = 0;
  /** Set by a release, cleared by the grant that must follow it at once. */
  #released: { newClaim: number; holder: number; discard: boolean } | null = null;

  constructor(sessionsMax?: number) {
    const output: DirectoryOutput = {
      grant: (shardIndex, claim, from) => {
        assert.equal(shardIndex, shardOfClaim(claim));
        assert.ok(!this.granted.has(claim), 'a claim is granted once');
        const queue = this.#queueOf(claim);
        const former = queue[0].claim.claim === claim ? undefined : queue.shift();
        assert.equal(queue[0].claim.claim, claim, 'claims are granted in order');
        if (former === undefined) {
          assert.equal(from, -1, 'there is no former session to wait for');
        } else {
          assert.ok(former.settled, 'nobody is granted an id before it has settled');
          this.granted.delete(former.claim.claim);
          const holder = shardOfClaim(former.claim.claim);
          const isLocal = holder === shardIndex;
          assert.equal(from, holder);
          const released = { newClaim: claim, holder, discard: queue[0].claim.discard };
          assert.deepEqual(this.#released, isLocal ? null : released);
          this.#released = null;
        }
        this.granted.add(claim);
        // It is in place with its grant.
        if (from === -1 && !queue[0].claim.isKept) queue[0].settled = true;
      },
      refuse: (_shardIndex, claim, reason) => {
        const queue = this.#queueOf(claim);
        if (reason === 'sessions') {
          assert.equal(this.directory.keptSessions, this.#sessionsMax);
          assert.ok(!queue.some((entry) => entry.claim.claim === claim && !entry.claim.isKept));
          this.forget((gone) => gone === claim);
          return;
        }
        assert.equal(queue.at(-1)?.claim.claim, claim, 'only the newest is refused');
        assert.equal(queue.length, CLAIMS_WAITING_MAX + 2);
        queue.pop();
        this.refused++;
      },
      release: (shardIndex, clientId, claim, to, newClaim, discard) => {
        assert.equal(this.open.get(clientId)?.[0].claim.claim, claim, 'the holder is released');
        assert.equal(to, shardOfClaim(newClaim));
        assert.notEqual(shardIndex, to);
        this.#released = { newClaim, holder: shardIndex, discard };
      },
    };
    this.directory = new Directory(output, sessionsMax);
    this.#sessionsMax = sessionsMax ?? Number.POSITIVE_INFINITY;
  }

  #queueOf(claim: number) {
    for (const queue of this.open.values()) {
      if (queue.some((entry) => entry.claim.claim === claim)) return queue;
    }
    assert.fail(`claim ${claim} is not open`);
  }

  /** Every open claim, granted or waiting. */
  all(): { claim: Claim; settled: boolean }[] {
    return [...this.open.values()].flat();
  }

  forget(isGone: (claim: number) => boolean): void {
    for (const [clientId, queue] of this.open) {
      const kept = queue.filter((entry) => !isGone(entry.claim.claim));
      if (kept.length > 0) this.open.set(clientId, kept);
      else this.open.delete(clientId);
    }
    for (const claim of this.granted) if (isGone(claim)) this.granted.delete(claim);
  }

  check(): void {
    for (const [clientId, queue] of this.open) {
      assert.ok(this.granted.has(queue[0].claim.claim), 'the first in line always has its grant');
      assert.equal(this.directory.holderOf(clientId), shardOfClaim(queue[0].claim.claim));
      if (queue.length > 1) assert.ok(!queue[0].settled, 'nobody waits for a settled id');
    }
    const kept = [...this.open.values()].filter(([first]) => first.claim.isKept);
    assert.equal(this.directory.keptSessions, kept.length);
    assert.ok(kept.length <= this.#sessionsMax);
    assert.equal(this.granted.size, this.open.size, 'one grant for each client id');
    assert.equal(this.directory.size, this.open.size);
    assert.equal(this.directory.claimCount, this.all().length);
  }
}

function run(model: Model, list: readonly Step[]): void {
  let next = 0;
  for (const step of list) {
    if (step.do === 'claim') {
      const { clientId, discard, isKept } = step;
      const claim = { clientId, claim: numberOf(step.shard, next++), discard, isKept, user: null };
      const queue = model.open.get(clientId);
      if (queue === undefined) model.open.set(clientId, [{ claim, settled: false }]);
      else queue.push({ claim, settled: false });
      model.directory.claim([claim]);
    } else if (step.do === 'die') {
      model.forget((claim) => shardOfClaim(claim) === step.shard);
      model.directory.shardDied(step.shard);
    } else {
      const open = model.all();
      if (open.length === 0) continue;
      const picked = open[step.pick % open.length];
      if (step.do === 'settle') {
        if (!model.granted.has(picked.claim.claim)) continue;
        picked.settled = true;
        model.directory.settle([picked.claim.claim]);
      } else {
        model.forget((claim) => claim === picked.claim.claim);
        model.directory.drop([picked.claim.claim]);
      }
    }
    model.check();
  }
}

test('whatever shards claim, settle, drop and die of, one claim an id is granted, in order', () => {
  fc.assert(
    fc.property(steps, fc.constantFrom(0, 1, 2, undefined), (list, sessionsMax) => {
      const model = new Model(sessionsMax);
      run(model, list);

      // In the end every session goes, and nothing is left behind.
      for (let shard = 0; shard < SHARDS; shard++) {
        model.forget((claim) => shardOfClaim(claim) === shard);
        model.directory.shardDied(shard);
      }
      model.check();
      assert.equal(model.directory.size, 0);
    }),
    { numRuns: 400 },
  );
});

describe('connections of a user', () => {
  let directory: Directory;
  let take: () => string[];
  const claim = (clientId: string, shardIndex: number, n: number, user: string | null = 'u') =>
    directory.claim([
      { clientId, claim: numberOf(shardIndex, n), discard: false, isKept: true, user },
    ]);
  const settle = (shardIndex: number, n: number) => directory.settle([numberOf(shardIndex, n)]);

  beforeEach(() => {
    ({ directory, take } = recorder(undefined, 2));
  });

  test('beyond the limit are refused, those of others and of nobody are not', () => {
    claim('a', 0, 0);
    claim('b', 1, 0);
    claim('c', 1, 1);
    claim('d', 1, 2, 'v');
    claim('e', 1, 3, null);
    assert.deepEqual(take(), [
      'grant 0#0 from -1',
      'grant 1#0 from -1',
      'refuse 1#1 user',
      'grant 1#2 from -1',
      'grant 1#3 from -1',
    ]);
    assert.equal(directory.connectionsOf('u'), 2);
  });

  test('may take over from each other, and whom they take over from counts no more', () => {
    claim('a', 0, 0);
    settle(0, 0);
    claim('b', 0, 1);
    settle(0, 1);
    claim('a', 1, 0);
    assert.equal(directory.connectionsOf('u'), 2);
    // It says so when it has heard of it.
    directory.leave([numberOf(0, 0)]);
    assert.equal(directory.connectionsOf('u'), 2);
    settle(1, 0);
    claim('a', 1, 1, 'v');
    assert.deepEqual([directory.connectionsOf('u'), directory.connectionsOf('v')], [1, 1]);
  });

  test('do not count when they have left, though their sessions are kept', () => {
    for (let n = 0; n < 2; n++) {
      claim(`c${n}`, 0, n);
      settle(0, n);
    }
    directory.leave([numberOf(0, 0), numberOf(0, 0)]);
    assert.equal(directory.connectionsOf('u'), 1);
    claim('other', 1, 0);
    take();
    claim('c0', 1, 1);
    assert.deepEqual(take(), ['refuse 1#1 user']);
    directory.drop([numberOf(1, 0)]);
    claim('c0', 1, 2);
    assert.deepEqual(take(), ['release c0 0#0 to 1#2 keep', 'grant 1#2 from 0']);
    directory.shardDied(0);
    directory.shardDied(1);
    assert.equal(directory.connectionsOf('u'), 0);
  });

  test('that wait for a client id are refused when it is their turn', () => {
    claim('a', 0, 0, 'v');
    claim('a', 0, 1);
    claim('b', 0, 2);
    claim('c', 0, 3);
    take();
    settle(0, 0);
    assert.deepEqual(take(), ['refuse 0#1 user']);
    assert.equal(directory.claimCount, 3);
  });
});
