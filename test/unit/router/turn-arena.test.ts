import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ARENA_BLOCKS_PINNED_MAX, TURN_ARENA_BYTES } from '../../../src/base/limits.js';
import { TurnArena } from '../../../src/router/turn-arena.js';

describe('the arena of a turn', () => {
  test('flushes and begins anew when there is no room', () => {
    let flushes = 0;
    const arena: TurnArena = new TurnArena(() => {
      flushes++;
      arena.rewind();
    });
    assert.equal(arena.reserve(TURN_ARENA_BYTES - 1), 0);
    assert.equal(arena.reserve(1), TURN_ARENA_BYTES - 1);
    assert.deepEqual([flushes, arena.rewinds], [0, 0]);
    assert.equal(arena.reserve(1), 0);
    assert.deepEqual([flushes, arena.rewinds], [1, 1]);
  });

  test('pins so many blocks and no more, and uses them again when they are let go of', () => {
    const arena: TurnArena = new TurnArena(() => arena.rewind());
    const blocks = [];
    for (let block = arena.pin(arena.buffer); block !== null; block = arena.pin(arena.buffer)) {
      blocks.push(block);
      arena.rewind();
    }
    assert.equal(blocks.length, ARENA_BLOCKS_PINNED_MAX);
    assert.equal(new Set(blocks).size, blocks.length);
    assert.ok(!blocks.some(({ buffer }) => buffer === arena.buffer));
    assert.equal(arena.pin(Buffer.alloc(10)), null, 'nor what is no block');
    arena.unpin(blocks[0]);
    assert.notEqual(arena.pin(arena.buffer), null);
    arena.rewind();
    assert.equal(arena.buffer, blocks[0].buffer);
  });

  test('gives a packet longer than itself a buffer until the next rewind', () => {
    const arena: TurnArena = new TurnArena(() => arena.rewind());
    const standard = arena.buffer;
    assert.equal(arena.reserve(TURN_ARENA_BYTES + 1), 0);
    assert.equal(arena.buffer.length, TURN_ARENA_BYTES + 1);
    arena.rewind();
    assert.equal(arena.buffer, standard);
  });

  test('grows while it is held, and begins anew as it was', () => {
    let flushes = 0;
    const arena: TurnArena = new TurnArena(() => {
      flushes++;
      arena.rewind();
    });
    const standard = arena.buffer;
    const at = arena.copy(Buffer.from('first'), 0, 5);
    arena.reserve(TURN_ARENA_BYTES - 5);
    assert.equal(arena.isCrowded(1), false);
    arena.isHeld = true;
    assert.equal(arena.isCrowded(1), true);
    const behind = arena.copy(Buffer.from('second'), 0, 6);
    assert.deepEqual([at, behind, flushes], [0, TURN_ARENA_BYTES, 0]);
    assert.equal(arena.buffer.toString('latin1', at, at + 5), 'first');
    assert.equal(arena.buffer.toString('latin1', behind, behind + 6), 'second');
    assert.equal(arena.isCrowded(1), false, 'there is room again');
    arena.isHeld = false;
    arena.reserve(2 * TURN_ARENA_BYTES);
    assert.equal(flushes, 1);
    arena.rewind();
    assert.equal(arena.buffer, standard);
  });

  // The flush lets publishers go on, and their acks are laid out before `reserve` returns.
  test('what a flush itself lays out is neither overlapped nor left behind', () => {
    const written: string[] = [];
    let isFirst = true;
    let at = -1;
    const arena: TurnArena = new TurnArena(() => {
      if (at >= 0) written.push(arena.buffer.toString('latin1', at, at + 3));
      at = -1;
      arena.rewind();
      if (isFirst) at = arena.copy(Buffer.from('ack'), 0, 3);
      isFirst = false;
    });
    arena.reserve(1);
    assert.equal(arena.reserve(TURN_ARENA_BYTES + 1), 0);
    assert.equal(arena.position, arena.buffer.length);
    assert.deepEqual(written, ['ack']);
    isFirst = true;
    const whole = arena.reserve(TURN_ARENA_BYTES);
    assert.equal(whole + TURN_ARENA_BYTES, arena.position);
    assert.ok(arena.position <= arena.buffer.length);
    assert.deepEqual(written, ['ack', 'ack']);
  });
});
