/** The turn of a shard over a link that only notes what it is asked. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { DRAIN_BYTES, TURN_ARENA_BYTES, TURN_FLUSH_BYTES } from '../../../src/base/limits.js';
import type { Outbox } from '../../../src/connection/outbox.js';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { createWakes, Wakes } from '../../../src/router/wakes.js';
import { Turn } from '../../../src/shard/turn.js';

describe('a turn', () => {
  let said: string[];
  /** What the next drains find, and whether there is something when the shard wants to sleep. */
  let drains: number[];
  let hasMore: boolean[];
  let waits: boolean[];
  /** Somebody was told of what is not handed over: `catchUp` drains. */
  let hasNews: boolean;
  /** By turn that left nothing to do: whether records had come in it. */
  let hadRecords: boolean[];
  /** Called by the steps, when a test wants something to happen there. */
  let onDrained: () => void;
  let onBusy: () => boolean;
  let beforeFlush: () => void;
  let afterFlush: () => void;
  let turn: Turn;

  beforeEach(() => {
    said = [];
    drains = [];
    hasMore = [];
    onDrained = () => {};
    onBusy = () => false;
    beforeFlush = () => {};
    afterFlush = () => {};
    waits = [];
    hasNews = false;
    hadRecords = [];
    const link = {
      isDraining: false,
      get hasNews() {
        return hasNews;
      },
      mark: () => 1,
      isPast: () => !hasNews,
      flush: () => void said.push('ring'),
      tell: () => void said.push('tell'),
      drain: () => {
        said.push('drain');
        hasNews = false;
        return drains.shift() ?? 0;
      },
      sleep: () => {
        said.push('sleep');
        return !(hasMore.shift() ?? false);
      },
    };
    turn = new Turn(
      link as unknown as PeerLink,
      { onRecord() {} },
      new Wakes(createWakes(), 0, () => 0),
      {
        onDrained: () => {
          said.push('drained');
          onDrained();
        },
        onTurn: () => void said.push('turn'),
        onBusy: () => onBusy(),
        beforeFlush: () => {
          said.push('before');
          beforeFlush();
        },
        afterFlush: () => {
          said.push('after');
          afterFlush();
        },
        onIdle: (hasDrained) => {
          hadRecords.push(hasDrained);
          const hasWaited = waits.shift() ?? false;
          if (hasWaited) said.push('wait');
          return hasWaited;
        },
      },
      1,
    );
  });

  // The ends of turns that a test has asked for are not the next test's.
  afterEach(async () => {
    await immediate();
    await immediate();
  });

  /** An outbox that notes its flushes with what stands in the arena then. */
  function outbox(name: string, act = () => {}, bringsMessages = false): Outbox {
    const flush = (arena: Buffer) => {
      said.push(`${name}:${arena.toString('latin1', 0, 2)}`);
      act();
    };
    return { flush, bringsMessages } as unknown as Outbox;
  }

  const ORDER = ['drain', 'drained', 'turn', 'before', 'ring', 'after', 'sleep'];

  test('drains, stores the ring, flushes each outbox once, and sleeps', async () => {
    turn.arena.copy(Buffer.from('ab'), 0, 2);
    turn.addDirty(outbox('x'));
    turn.addDirty(outbox('y'));
    turn.schedule();
    await immediate();
    await immediate();
    const behind = ['before', 'ring', 'tell', 'x:ab', 'y:ab', 'after', 'sleep'];
    const expected = ['drain', 'drained', 'turn', ...behind];
    assert.deepEqual(said, expected);
    assert.equal(turn.arena.position, 0);
  });

  test('sends messages before acks alone, else in the order in which they came', async () => {
    for (const name of ['a', 'b']) turn.addDirty(outbox(name));
    for (const name of ['m', 'n']) turn.addDirty(outbox(name, () => {}, true));
    turn.flush();
    assert.deepEqual(said.map((word) => word[0]).join(''), 'brtmnaba');
  });

  test('is taken again when something has come before it sleeps', async () => {
    hasMore = [true];
    turn.schedule();
    await immediate();
    await immediate();
    await immediate();
    assert.deepEqual(said, [...ORDER, ...ORDER]);
  });

  test('lets busy connections go on behind its flush, again while there are some', async () => {
    let left = 2;
    onBusy = () => {
      said.push('busy');
      return --left > 0;
    };
    turn.schedule();
    await immediate();
    await immediate();
    await immediate();
    const flushed = ORDER.slice(0, -1);
    assert.deepEqual(said, [...flushed, 'busy', ...flushed, 'busy', 'sleep']);
  });

  test('is taken again instead of sleeping when it has waited for reads', async () => {
    waits = [true];
    turn.schedule();
    await immediate();
    await immediate();
    await immediate();
    assert.deepEqual(said, [...ORDER.slice(0, -1), 'wait', ...ORDER]);
  });

  test('records caught up with before a read have come in its turn, and in no other', async () => {
    drains = [100];
    hasNews = true;
    assert.equal(turn.catchUp(), true);
    turn.afterRead();
    await immediate();
    turn.schedule();
    await immediate();
    assert.deepEqual(hadRecords, [true, false]);
  });

  test('leaves what is more than a turn may drain to the next one', async () => {
    drains = [DRAIN_BYTES];
    turn.schedule();
    await immediate();
    await immediate();
    await immediate();
    assert.deepEqual(said, ['drain', 'turn', 'before', 'ring', 'after', ...ORDER]);
  });

  test('what its end asks for is done in another', async () => {
    let left = 1;
    afterFlush = () => {
      if (left-- > 0) turn.schedule();
    };
    turn.schedule();
    await immediate();
    await immediate();
    await immediate();
    assert.deepEqual(said, [...ORDER.slice(0, -1), ...ORDER]);
  });

  test('an outbox that becomes dirty while others are flushed is flushed too', () => {
    const late = outbox('late');
    turn.addDirty(outbox('x', () => turn.addDirty(late)));
    turn.addDirty(outbox('y'));
    turn.flush();
    assert.deepEqual(
      said.filter((word) => word.includes(':')).map((word) => word.slice(0, -3)),
      ['x', 'y', 'late'],
    );
    said.length = 0;
    turn.flush();
    assert.deepEqual(said, ['before', 'ring', 'after']);
  });

  test('reads are flushed at once when much has gathered, not before', () => {
    turn.arena.reserve(TURN_FLUSH_BYTES - 1);
    turn.afterRead();
    assert.deepEqual(said, []);
    turn.arena.reserve(1);
    turn.afterRead();
    assert.deepEqual(said, ['before', 'ring', 'after']);
  });

  test('a reserve that finds no room flushes, and what that lays out is flushed next', () => {
    turn.arena.copy(Buffer.from('ab'), 0, 2);
    turn.addDirty(outbox('x'));
    afterFlush = () => {
      afterFlush = () => {};
      turn.arena.copy(Buffer.from('cd'), 0, 2);
      turn.addDirty(outbox('z'));
    };
    const at = turn.arena.reserve(TURN_ARENA_BYTES - 1);
    assert.equal(at, 0);
    const first = ['before', 'ring', 'tell', 'x:ab', 'after'];
    assert.deepEqual(said, [...first, 'before', 'ring', 'tell', 'z:cd', 'after']);
  });

  test('a flush in the midst of a flush writes everything once', () => {
    turn.arena.copy(Buffer.from('ab'), 0, 2);
    turn.arena.reserve(TURN_ARENA_BYTES - 2);
    turn.addDirty(outbox('x'));
    // A SUBACK that is due finds no room.
    beforeFlush = () => {
      beforeFlush = () => {};
      turn.arena.copy(Buffer.from('ef'), 0, 2);
      turn.addDirty(outbox('y'));
    };
    turn.flush();
    const written = said.filter((word) => word.includes(':'));
    assert.deepEqual(written, ['x:ab', 'y:ef']);
    assert.equal(turn.arena.position, 0);
  });

  test('the work behind a drain is flushed in the same turn', async () => {
    onDrained = () => {
      turn.arena.copy(Buffer.from('gh'), 0, 2);
      turn.addDirty(outbox('x'));
      onDrained = () => {};
    };
    turn.schedule();
    await immediate();
    await immediate();
    await immediate();
    const flushed = ['before', 'ring', 'tell', 'x:gh', 'after'];
    assert.deepEqual(said.slice(0, 8), ['drain', 'drained', 'turn', ...flushed]);
  });
});
