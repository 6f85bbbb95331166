import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MEMORY_LOOK_MS_MAX, MEMORY_LOOK_MS_MIN } from '../../../src/base/limits.js';
import { createMemoryWord, levelOf, MemoryLevel } from '../../../src/base/memory-level.js';
import { MemoryWatch } from '../../../src/primary/memory-watch.js';
import { Environment } from '../../../src/store/environment.js';
import { temporaryFolder } from '../store/temporary-store.js';

const GIB = 1024 ** 3;

function makeWatch(limitBytes = 10 * GIB) {
  const lines: [level: string, fields: object, message: string][] = [];
  const say = (level: string) => (fields: object, message: string) => {
    lines.push([level, fields, message]);
  };
  const state = { used: 0 };
  const word = createMemoryWord();
  const watch = new MemoryWatch({
    word,
    limitSetting: () => limitBytes,
    logger: { info: say('info'), warn: say('warn') },
    ledger: () => ({ queuedBytes: 7 }),
    used: () => state.used,
  });
  const level = () => new Int32Array(word)[0];
  return { watch, state, lines, level };
}

describe('the level of memory', () => {
  test('rises at 80, 85 and 90 % of the limit and falls at 5 % less', () => {
    const rising = [0, 79, 80, 84, 85, 89, 90, 100, 500];
    assert.deepEqual(
      rising.map((used) => levelOf(used, 100, MemoryLevel.ample)),
      [0, 0, 1, 1, 2, 2, 3, 3, 3],
    );
    const falling = [90, 85, 84, 80, 79, 75, 74];
    assert.deepEqual(
      falling.map((used) => levelOf(used, 100, MemoryLevel.critical)),
      [3, 3, 2, 2, 1, 1, 0],
    );
    assert.deepEqual(
      [76, 81, 86].map((used) => levelOf(used, 100, MemoryLevel.high)),
      [1, 1, 2],
    );
  });

  test('is told to all threads, and to people with what uses it, at most once a second', () => {
    const { watch, state, lines, level } = makeWatch();
    watch.look(0);
    assert.deepEqual([level(), lines], [MemoryLevel.ample, []]);
    state.used = 9.5 * GIB;
    watch.look(10);
    assert.equal(level(), MemoryLevel.critical);
    assert.equal(lines.length, 1);
    assert.equal(lines[0]![0], 'warn');
    assert.deepEqual(lines[0]![1], {
      level: 'critical',
      usedBytes: 9.5 * GIB,
      limitBytes: 10 * GIB,
      queuedBytes: 7,
    });
    for (let n = 0; n < 90; n++) {
      state.used = n % 2 === 0 ? 0 : 9.5 * GIB;
      watch.look(11 + 10 * n);
    }
    assert.equal(lines.length, 1);
    state.used = 0;
    watch.look(1_010);
    watch.look(5_000);
    assert.deepEqual(
      lines.slice(1).map(([kind, , message]) => [kind, message]),
      [['info', 'memory is ample: everything is taken again']],
    );
  });

  test('is looked at the more often the less is left', () => {
    const { watch, state } = makeWatch();
    assert.equal(watch.look(0), MEMORY_LOOK_MS_MAX);
    state.used = 8.9 * GIB;
    const near = watch.look(0);
    assert.ok(near < MEMORY_LOOK_MS_MAX && near > MEMORY_LOOK_MS_MIN, `${near} ms`);
    state.used = 12 * GIB;
    assert.equal(watch.look(0), MEMORY_LOOK_MS_MIN);
  });

  test('is that of this process, where nothing else is said', () => {
    const word = createMemoryWord();
    const logger = { info() {}, warn() {} };
    const watch = new MemoryWatch({ word, limitSetting: () => 0, logger, ledger: () => ({}) });
    watch.look(0);
    const rss = process.memoryUsage.rss();
    assert.ok(watch.usedBytes > rss / 2 && watch.usedBytes < rss * 2, `${watch.usedBytes} ${rss}`);
    assert.ok(watch.limitBytes > rss);
    watch.stop();
  });

  // Else a large store, read through once, would have clients refused.
  test('leaves out what of a store is in memory', async (context) => {
    const folder = temporaryFolder(context);
    const environment = new Environment(folder, 'commit');
    const watch = new MemoryWatch({
      word: createMemoryWord(),
      limitSetting: () => 0,
      logger: { info() {}, warn() {} },
      ledger: () => ({}),
    });
    const key = (n: number) => Buffer.from(`row ${n}`);
    const [rows, bytes] = [16, 4 * 2 ** 20];
    for (let n = 0; n < rows; n++) environment.tables.runs.putSync(key(n), Buffer.alloc(bytes, n));
    environment.tables.runs.getBinaryFast(key(0));
    watch.look(0);
    const before = watch.usedBytes;
    const rss = process.memoryUsage.rss();
    for (let n = 0; n < rows; n++) environment.tables.runs.getBinaryFast(key(n));
    watch.look(0);
    const read = rows * bytes;
    assert.ok(process.memoryUsage.rss() - rss > read / 2);
    assert.ok(watch.usedBytes - before < read / 4, `${watch.usedBytes - before} of ${read}`);
    watch.stop();
    await environment.close();
  });
});
