import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { describe, it } from 'node:test';
import { closeDescriptor, createPipe, type Pipe } from '../../../src/base/libc.js';
import { WAKING_WAIT_MS_MAX } from '../../../src/base/turn-limits.js';
import { RING_LINE_WORDS } from '../../../src/router/ring-layout.js';
import { createWakes, Wakes } from '../../../src/router/wakes.js';

/** Waits are steps of the test, which says what the other shards do meanwhile. */
class Shards {
  readonly memory = createWakes();
  readonly shards: Wakes[] = [];
  /** What happens during the next waits. */
  readonly steps: (() => void)[] = [];
  /** Shards that were waited for, one for each wait, and for how long at most. */
  readonly waits: number[] = [];
  live: number;
  now = 1_000;

  constructor(count: number) {
    this.live = (1 << count) - 1;
    for (let index = 0; index < count; index++) this.shards.push(this.make(index));
  }

  make(index: number): Wakes {
    const wait = (words: Int32Array, at: number, word: number, ms: number): void => {
      assert.ok(ms > 0 && ms <= WAKING_WAIT_MS_MAX);
      assert.equal(Atomics.load(words, at), word);
      this.waits.push(at / RING_LINE_WORDS);
      const step = this.steps.shift();
      assert.ok(step !== undefined, 'a wait for nothing');
      step();
    };
    const live = () => this.live & ~(1 << index);
    return new Wakes(this.memory, index, live, wait, () => this.now);
  }

  /** All have come round and sleep. */
  sleep(): this {
    for (const shard of this.shards) shard.onIdle();
    return this;
  }
}

function comeRound(shard: Wakes): void {
  shard.onCameRound();
  shard.onIdle();
}

/** @param hasWork something is to be read on the event loop that stands for that of a shard. */
function withEventLoop(hasWork: boolean, use: (fd: number, pipe: Pipe) => void): void {
  const pipe = createPipe();
  if (hasWork) writeSync(pipe.writeFd, '1');
  try {
    use(pipe.readFd, pipe);
  } finally {
    closeDescriptor(pipe.readFd);
    closeDescriptor(pipe.writeFd);
  }
}

describe('a shard that has just woken', () => {
  it('waits for one that has woken too until that has come round', () => {
    const { shards, steps, waits } = new Shards(2).sleep();
    const [one, other] = shards;
    other!.onRead();
    assert.equal(one!.onRead(), true);
    steps.push(
      () => {},
      () => comeRound(other!),
    );
    one!.awaitOthers();
    // The first wait ended for nothing.
    assert.deepEqual(waits, [1, 1]);
    assert.equal(one!.onRead(), false, 'it waits once in a wake');
  });

  it('waits for one that is about to wake', () => {
    const { shards, steps, waits } = new Shards(2).sleep();
    const [one, other] = shards;
    withEventLoop(true, (fd) => {
      other!.setEventLoop(fd);
      one!.onRead();
      steps.push(
        () => other!.onRead(),
        () => other!.onCameRound(),
      );
      one!.awaitOthers();
      assert.deepEqual(waits, [1, 1]);
    });
  });

  it('waits for each of several', () => {
    const { shards, steps, waits } = new Shards(4).sleep();
    shards[1]!.onRead();
    shards[3]!.onRead();
    shards[0]!.onRead();
    steps.push(
      () => comeRound(shards[1]!),
      () => comeRound(shards[3]!),
    );
    shards[0]!.awaitOthers();
    assert.deepEqual(waits, [1, 3]);
  });

  it('waits for no later wake of the same shard', () => {
    const { shards, steps, waits } = new Shards(2).sleep();
    const [one, other] = shards;
    other!.onRead();
    one!.onRead();
    steps.push(() => {
      comeRound(other!);
      other!.onRead();
    });
    one!.awaitOthers();
    assert.deepEqual(waits, [1]);
  });

  const quiet: [string, (shards: Shards) => void][] = [
    ['that sleeps and has nothing to read', () => {}],
    [
      'that has come round and goes on',
      ({ shards }) => {
        shards[1]!.onRead();
        shards[1]!.onCameRound();
      },
    ],
    [
      'that has just started',
      (all) => {
        all.shards[1]!.onRead();
        all.make(1);
      },
    ],
    [
      'that is dead',
      (all) => {
        all.shards[1]!.onRead();
        all.live = 1;
      },
    ],
  ];
  for (const [what, prepare] of quiet) {
    it(`does not wait for one ${what}`, () => {
      withEventLoop(false, (fd) => {
        const all = new Shards(2).sleep();
        all.shards[1]!.setEventLoop(fd);
        prepare(all);
        all.shards[0]!.onRead();
        all.shards[0]!.awaitOthers();
        assert.deepEqual(all.waits, []);
      });
    });
  }

  it('is not waited for by one that it waits for', () => {
    const { shards, steps, waits } = new Shards(2).sleep();
    const [one, other] = shards;
    one!.onRead();
    other!.onRead();
    steps.push(
      () => other!.awaitOthers(),
      () => comeRound(other!),
    );
    one!.awaitOthers();
    assert.deepEqual(waits, [1, 1]);
  });

  it('stops waiting for one that hangs, and waits half of its time at most', () => {
    const all = new Shards(2).sleep();
    const { shards, steps, waits } = all;
    const [one, other] = shards;
    const passAll = () => {
      all.now += WAKING_WAIT_MS_MAX;
    };
    const wakeAgain = () => {
      comeRound(one!);
      one!.onRead();
      steps.push(passAll);
      one!.awaitOthers();
    };
    other!.onRead();
    wakeAgain();
    assert.equal(waits.length, 1);
    wakeAgain();
    assert.equal(waits.length, 1);
    all.now += WAKING_WAIT_MS_MAX;
    wakeAgain();
    assert.equal(waits.length, 2);
  });
});

describe('a shard that was not asleep', () => {
  it('has not woken for what it reads', () => {
    const { shards } = new Shards(2).sleep();
    assert.equal(shards[0]!.onRead(), true);
    shards[0]!.onCameRound();
    assert.equal(shards[0]!.onRead(), false);
    shards[0]!.onIdle();
    assert.equal(shards[0]!.onRead(), true);
  });

  it('has woken for nothing when it has no others', () => {
    const { shards } = new Shards(1).sleep();
    assert.equal(shards[0]!.onRead(), false);
  });
});
