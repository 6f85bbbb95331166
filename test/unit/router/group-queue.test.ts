/** What waits for the members of a group that is kept on disk. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { Counter, Counters, createCounterBlock } from '../../../src/base/counters.js';
import { KEPT_WINDOW_BYTES } from '../../../src/base/limits.js';
import type { SlowConsumerPolicy } from '../../../src/base/slow-consumer-policy.js';
import type { StoreFullPolicy } from '../../../src/base/store-full-policy.js';
import { encodePublish } from '../../../src/protocol/publish-frame.js';
import type { GroupRun } from '../../../src/router/group-link.js';
import { GroupQueue } from '../../../src/router/group-queue.js';
import { GroupRows } from '../../../src/router/group-rows.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import { Session } from '../../../src/sessions/session.js';
import type { SessionLimits } from '../../../src/sessions/window-limits.js';
import { TemporaryStore, type TestJournal } from '../store/temporary-store.js';

const KEY = '$share/g/t';
const LIMITS: SessionLimits = {
  maxInflight: 10,
  maxQueuedMessages: 1_000,
  maxQueuedBytes: 10_000_000,
};
const QOS_1 = 0x32;

function runOf(payload: string): GroupRun {
  const buffer = encodePublish('t', Buffer.from(payload), QOS_1, 1);
  const traits = { propertyBytes: 0, expiresAt: 0, source: 0, publisherId: 0 };
  const { length: end } = buffer;
  return { buffer, start: 0, end, header: QOS_1, topicKey: 't', count: 1, ...traits };
}

function payloadOf({ buffer, end }: GroupRun): string {
  return buffer.toString('latin1', end - 4, end);
}

let numbers = 0;

/** A shard's part of a group, in a process; another one has the same store. */
class Process {
  readonly rows: GroupRows;
  readonly queue: GroupQueue;
  readonly total: QueuedTotal;
  readonly counters: Counters;
  readonly fullness: { whenFull: StoreFullPolicy | null } = { whenFull: null };
  readonly #journal: TestJournal;

  constructor(store: TemporaryStore, limits = LIMITS, totalBytes = 100_000_000, isKept = true) {
    this.#journal = store.journal();
    const { journal } = this.#journal;
    const { reader } = store;
    const nextNumber = () => ++numbers;
    const parts = { shardIndex: 0, shardCount: 1, journal, reader, nextNumber };
    this.rows = new GroupRows({ ...parts, fullness: this.fullness });
    reader.renew();
    this.rows.load(reader.sessionsOfNoClient(), false);
    this.total = new QueuedTotal(totalBytes);
    const absentQueues = new AbsentQueues(this.total);
    const session = new Session('', Number.POSITIVE_INFINITY, 4, 0, limits, absentQueues);
    const counters = new Counters(createCounterBlock());
    const { total: queuedTotal, rows } = this;
    this.queue = new GroupQueue({ counters, queuedTotal, absentQueues, rows }, KEY, session);
    this.counters = counters;
    if (isKept) this.queue.keep(this.rows);
  }

  settle(): Promise<void> {
    return this.#journal.settled();
  }

  /** Takes all that waits, and lets it go. */
  takeAll(): string[] {
    const { queue } = this;
    const taken: string[] = [];
    do {
      for (let waited = queue.take(); waited !== null; waited = queue.take()) {
        taken.push(payloadOf(waited.run));
        waited.row?.leave();
      }
    } while (queue.readOn(queue.end) > 0);
    return taken;
  }
}

function begun(context: TestContext): { store: TemporaryStore; first: Process } {
  const store = new TemporaryStore(context);
  return { store, first: new Process(store) };
}

/** Payloads of 8,000 characters that end with their numbers. */
const LONG = Array.from({ length: 100 }, (_, at) => String(at).padStart(4, '0'));
const longRun = (name: string) => runOf(name.padStart(8_000, '.'));

describe('the queue of a group', () => {
  test('has a part in memory, and the rest on disk alone', async (context) => {
    const { store, first } = begun(context);
    for (const name of LONG) first.queue.put(longRun(name), null);
    assert.ok(first.total.bytes < 2 * KEPT_WINDOW_BYTES);
    assert.equal(first.queue.messages, LONG.length);
    const { inMemory } = first.queue;
    // What is not committed cannot be read.
    while (first.queue.inMemory > 0) first.queue.take();
    assert.equal(first.queue.readOn(first.queue.end), 0);
    await first.settle();
    assert.deepEqual(first.takeAll(), LONG.slice(inMemory));
    assert.equal(first.queue.messages, 0);
    await first.settle();
    assert.equal(store.rows().queue, inMemory);
  });

  test('has each run once, wherever it was when the process ended', async (context) => {
    const { store, first } = begun(context);
    for (const name of LONG.slice(0, 50)) first.queue.put(longRun(name), null);
    const taken = first.queue.take()!;
    // On its way to a member; given back by one; and with one that has taken it.
    first.rows.putLoose(KEY, runOf('sent'), 0);
    taken.row?.leave();
    first.queue.put(runOf('back'), first.rows.putLoose(KEY, runOf('back'), null));
    first.rows.putLoose(KEY, runOf('gone'), 0).leave();
    first.rows.putLoose('$share/g/other', runOf('none'), 0);
    await first.settle();
    const second = new Process(store);
    await second.settle();
    const all = second.takeAll();
    assert.deepEqual([...all].sort(), [...LONG.slice(1, 50), 'back', 'sent'].sort());
    await second.settle();
    assert.deepEqual(new Process(store).takeAll(), []);
    assert.equal(store.rows().queue, undefined);
  });

  test('has what members give back before what nobody was given', async (context) => {
    const { store, first } = begun(context);
    const { queue, rows } = first;
    // Some in memory, some on disk alone, some on their way there.
    for (const name of LONG.slice(50, 90)) queue.put(longRun(name), null);
    await first.settle();
    for (const name of LONG.slice(90)) queue.put(longRun(name), null);
    for (const name of LONG.slice(0, 50)) {
      queue.putBack(longRun(name), rows.putLoose(KEY, longRun(name), 0));
    }
    assert.ok(first.total.bytes < 2 * KEPT_WINDOW_BYTES);
    assert.equal(queue.messages, LONG.length);
    await first.settle();
    const taken: string[] = [];
    for (let n = 0; n < 20; n++) {
      const { run, row } = queue.take()!;
      taken.push(payloadOf(run));
      row?.leave();
    }
    // In the middle of that some come back once more, and go again.
    await first.settle();
    for (const name of taken) queue.putBack(longRun(name), null);
    await first.settle();
    assert.deepEqual(first.takeAll(), [
      ...LONG.slice(20, 50),
      ...LONG.slice(0, 20),
      ...LONG.slice(50),
    ]);
    await first.settle();
    assert.equal(store.rows().queue, undefined);
    assert.equal(first.total.bytes, 0);
  });

  test('has them first when the process has ended, too', async (context) => {
    const { store, first } = begun(context);
    for (const name of ['cccc', 'dddd']) first.queue.put(runOf(name), null);
    for (const name of ['aaaa', 'bbbb']) first.queue.putBack(runOf(name), null);
    await first.settle();
    assert.deepEqual(new Process(store).takeAll(), ['aaaa', 'bbbb', 'cccc', 'dddd']);
  });

  test('has nothing again that is gone, but is on disk still', async (context) => {
    const { first } = begun(context);
    const { queue } = first;
    for (const name of ['aaaa', 'bbbb', 'cccc']) queue.put(runOf(name), null);
    await first.settle();
    // One that nobody may read goes behind the others; one is given, which the disk hears later.
    const waits = queue.take()!;
    queue.put(waits.run, waits.row);
    queue.take()!.row?.leave();
    queue.putBack(runOf('back'), null);
    assert.equal(queue.readOn(queue.end), 0);
    await first.settle();
    assert.deepEqual(first.takeAll().sort(), ['aaaa', 'back', 'cccc']);
  });

  // [MQTT-4.6.0-6], MQTT 5.0, 4.8.2: what is given back is older than all that waits.
  test('has them in order though processes end again and again', async (context) => {
    // Rows stand on disk by hashes of their names: some of the numbers below go either way.
    for (let n = 0; n < 8; n++) {
      const store = new TemporaryStore(context);
      const first = new Process(store);
      first.queue.put(runOf('eeee'), null);
      for (const name of ['aaaa', 'bbbb', 'cccc', 'dddd']) first.queue.putBack(runOf(name), null);
      await first.settle();
      const second = new Process(store);
      second.queue.readOn(second.queue.end);
      const again = [second.queue.take()!, second.queue.take()!];
      for (const { run, row } of again) second.queue.putBack(run, row);
      await second.settle();
      assert.deepEqual(new Process(store).takeAll(), ['aaaa', 'bbbb', 'cccc', 'dddd', 'eeee']);
    }
  });

  test('leaves nothing on disk of what was given back, and is gone', async (context) => {
    const { store, first } = begun(context);
    await first.settle();
    const { sessions } = store.rows();
    for (let n = 0; n < 3; n++) {
      const process = new Process(store);
      process.queue.putBack(runOf('back'), null);
      process.takeAll();
      await process.settle();
    }
    const last = new Process(store);
    await last.settle();
    assert.equal(store.rows().sessions, sessions);
  });

  // [MQTT-4.6.0-6]: what was on its way to a member, or back, is older than all that waits.
  test('has what was on its way first when the process has ended', async (context) => {
    const { store, first } = begun(context);
    first.queue.put(runOf('eeee'), null);
    first.queue.putBack(runOf('dddd'), null);
    first.rows.putLoose(KEY, runOf('bbbb'), 0);
    first.rows.putLoose(KEY, runOf('cccc'), 0);
    first.rows.putLoose(KEY, runOf('aaaa'), null);
    await first.settle();
    const second = new Process(store);
    // The first of it is on its way to disk.
    assert.equal(second.queue.readOn(second.queue.end), 0);
    await second.settle();
    assert.deepEqual(second.takeAll(), ['aaaa', 'bbbb', 'cccc', 'dddd', 'eeee']);
  });

  // A member whose session outlives its connection joins while others' messages wait.
  test('keeps what waited in memory when it comes to be kept', async (context) => {
    const store = new TemporaryStore(context);
    const process = new Process(store, LIMITS, 100_000_000, false);
    for (const name of ['bbbb', 'cccc']) process.queue.put(runOf(name), null);
    process.queue.keep(process.rows);
    process.queue.put(runOf('dddd'), null);
    process.queue.putBack(runOf('aaaa'), null);
    await process.settle();
    assert.deepEqual(process.takeAll(), ['aaaa', 'bbbb', 'cccc', 'dddd']);
  });

  // What of it is gone is on disk no more: it neither waits nor counts.
  test('knows how much waits behind what was put behind others', async (context) => {
    const { store } = begun(context);
    const process = new Process(store, { ...LIMITS, maxQueuedMessages: 20 });
    const { queue } = process;
    queue.put(runOf('wait'), null);
    for (const name of LONG) {
      queue.put(runOf(name), null);
      const waits = queue.take()!;
      queue.put(waits.run, waits.row);
      queue.take()!.row?.leave();
    }
    queue.putBack(runOf('back'), null);
    assert.equal(queue.messages, 2);
    queue.put(runOf('last'), null);
    await process.settle();
    assert.deepEqual(process.takeAll(), ['back', 'wait', 'last']);
    assert.equal(queue.messages, 0);
    assert.equal(queue.hasMore(queue.end), false);
  });

  // Each was acknowledged to its publisher, and within the bounds of its member's queue.
  test('loses nothing that members give back, however much waits', async (context) => {
    const { store } = begun(context);
    const process = new Process(store, { ...LIMITS, maxQueuedMessages: 2 });
    for (const name of ['cccc', 'dddd', 'eeee']) process.queue.put(runOf(name), null);
    for (const name of ['aaaa', 'bbbb']) process.queue.putBack(runOf(name), null);
    await process.settle();
    assert.deepEqual(process.takeAll(), ['aaaa', 'bbbb', 'cccc', 'dddd']);
  });

  test('is bounded as those of sessions are, and drops the newest', async (context) => {
    const { store } = begun(context);
    const process = new Process(store, { ...LIMITS, maxQueuedMessages: 3 });
    for (const name of ['aaaa', 'bbbb', 'cccc', 'dddd']) process.queue.put(runOf(name), null);
    await process.settle();
    assert.deepEqual(process.takeAll(), ['aaaa', 'bbbb', 'cccc']);
  });

  for (const slowConsumerPolicy of ['drop-oldest', 'latest'] as const) {
    test(`drops the oldest by ${slowConsumerPolicy}, on disk too`, async (context) => {
      const { store } = begun(context);
      const limits = { ...LIMITS, maxQueuedMessages: 40, slowConsumerPolicy };
      const process = new Process(store, limits);
      for (const [at, name] of LONG.entries()) {
        process.queue.put(longRun(name), null);
        if (at % 10 === 9) await process.settle();
      }
      assert.ok(process.total.bytes < 2 * KEPT_WINDOW_BYTES);
      const dropped = process.counters.get(Counter.droppedSlowConsumer);
      assert.equal(dropped, LONG.length - 40);
      assert.deepEqual(new Process(store, limits).takeAll(), LONG.slice(-40));
    });
  }

  // What is on its way to disk cannot be read there.
  test('drops no newest by drop-oldest, however fast they come', async (context) => {
    const { store } = begun(context);
    const slowConsumerPolicy: SlowConsumerPolicy = 'drop-oldest';
    const process = new Process(store, { ...LIMITS, maxQueuedMessages: 40, slowConsumerPolicy });
    for (const name of LONG) process.queue.put(longRun(name), null);
    await process.settle();
    process.queue.put(longRun('last'), null);
    await process.settle();
    assert.deepEqual(process.takeAll(), [...LONG.slice(-39), 'last']);
  });

  for (const [policy, kept, counter] of [
    ['drop-newest', ['aaaa', 'bbbb', 'back'], Counter.droppedQueueFull],
    ['drop-oldest', ['cccc', 'dddd', 'back'], Counter.droppedSlowConsumer],
  ] as const) {
    test(`loses by ${policy} while the store is full, but for what is there`, async (context) => {
      const { store, first } = begun(context);
      for (const name of ['aaaa', 'bbbb']) first.queue.put(runOf(name), null);
      const back = first.rows.putLoose(KEY, runOf('back'), 0);
      first.fullness.whenFull = policy;
      for (const name of ['cccc', 'dddd']) first.queue.put(runOf(name), null);
      first.queue.put(runOf('back'), back);
      assert.equal(first.counters.get(counter), 2);
      await first.settle();
      assert.deepEqual(new Process(store).takeAll(), kept);
    });
  }

  // Else a store of short messages would grow to as many long ones.
  test('loses as many bytes as come, by drop-oldest while the store is full', (context) => {
    const { first } = begun(context);
    for (const name of LONG) first.queue.put(runOf(name), null);
    first.fullness.whenFull = 'drop-oldest';
    const longer = runOf('long'.padStart(100, '.'));
    const least = Math.ceil(longer.end / runOf('shrt').end);
    first.queue.put(longer, null);
    assert.equal(first.counters.get(Counter.droppedSlowConsumer), least);
    // A bound for what one message may cost.
    first.queue.put(longRun('long'), null);
    assert.ok(first.counters.get(Counter.droppedSlowConsumer) < LONG.length);
  });

  test('ends with its group', async (context) => {
    const { store, first } = begun(context);
    for (const name of LONG) first.queue.put(longRun(name), null);
    await first.settle();
    assert.equal(first.queue.endAll(), LONG.length);
    await first.settle();
    assert.deepEqual(store.rows(), {});
    assert.equal(first.total.bytes, 0);
  });

  test('is forgotten when no member comes', async (context) => {
    const { store, first } = begun(context);
    first.queue.put(runOf('a'), null);
    await first.settle();
    const { journal, settled } = store.journal();
    const parts = { shardIndex: 0, shardCount: 1, journal, reader: store.reader };
    const fullness = { whenFull: null };
    const rows = new GroupRows({ ...parts, fullness, nextNumber: () => ++numbers });
    rows.load(store.reader.sessionsOfNoClient(), false);
    assert.ok(rows.has(KEY));
    rows.forgetFound();
    await settled();
    assert.deepEqual(store.rows(), {});
  });
});
