/** Sessions whose queues are on disk, found there again. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { KEPT_WINDOW_BYTES, PACKET_ID_MAX } from '../../../src/base/limits.js';
import type { StoreFullPolicy } from '../../../src/base/store-full-policy.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { KeptSessions } from '../../../src/sessions/kept-sessions.js';
import { type Outlet, Session } from '../../../src/sessions/session.js';
import { SessionRows } from '../../../src/shard/session-rows.js';
import { FULL_WORD } from '../../../src/store/store-words.js';
import { TemporaryStore, type TestJournal } from '../store/temporary-store.js';
import { runOf } from './frames.js';

const LIMITS = {
  maxInflight: 10,
  maxQueuedMessages: 100_000,
  maxQueuedBytes: 10_000_000,
  maxInflightBytes: 1_000_000,
};
const NUMBER = 32;

/** The sessions of a process; another one has the same store. */
class Process {
  readonly kept: KeptSessions;
  readonly session = new Session('c', 1_000, 4, 1, LIMITS as never, new AbsentQueues());
  readonly #journal: TestJournal;

  constructor(store: TemporaryStore, storeFull: StoreFullPolicy = 'reject') {
    this.#journal = store.journal();
    const { journal } = this.#journal;
    const { reader } = store;
    const base = NUMBER;
    this.kept = new KeptSessions({ journal, reader, shardIndex: 0, base, waits: true, storeFull });
  }

  /** As the shard does at the end of a turn, until all is durable. */
  async settle(): Promise<void> {
    this.kept.beforeSubmit();
    await this.#journal.settled();
    this.kept.onDurable();
  }

  /** What the window sends now: header byte, packet id and payload of each packet. */
  send(): string[] {
    const target = Buffer.alloc(4_096);
    const window = this.session.openWindow();
    const end = window.fill(target, 0, target.length, 1_000);
    const packets: string[] = [];
    for (let at = 0; at < end; ) {
      const next = at + 2 + target[at + 1]!;
      const isPublish = target[at]! >> 4 === 3;
      const idAt = isPublish ? at + 4 + target.readUInt16BE(at + 2) : at + 2;
      const payload = isPublish ? target.toString('latin1', idAt + 2, next) : '';
      packets.push(`${target[at]!.toString(16)} ${target.readUInt16BE(idAt)} ${payload}`.trim());
      at = next;
    }
    return packets;
  }
}

async function begun(context: TestContext): Promise<{ store: TemporaryStore; first: Process }> {
  const store = new TemporaryStore(context);
  const first = new Process(store);
  first.kept.begin(first.session);
  return { store, first };
}

/**
 * The next process finds the session, whose client has had so many messages at most.
 * @param inflightMax see StoredQueue.
 */
function next(store: TemporaryStore, mayBeSent: number, inflightMax = 0): Process {
  const process = new Process(store);
  process.kept.take(process.session, NUMBER, { mayBeSent, inflightMax, next: 0 });
  process.session.find();
  process.session.openWindow().beginResend();
  return process;
}

describe('a session that is found on disk', () => {
  // [MQTT-4.4.0-1]
  test('sends again what may have been sent, with its packet ids and DUP', async (context) => {
    const { store, first } = await begun(context);
    first.session.enqueue(runOf(['a', 'b']), 1, false, false);
    assert.deepEqual(first.send(), ['32 1 a', '32 2 b']);
    first.session.enqueue(runOf(['c']), 1, false, false);
    await first.settle();
    const second = next(store, 2);
    assert.deepEqual(second.send(), ['3a 1 a', '3a 2 b', '32 3 c']);
  });

  // [MQTT-4.3.3-1]: behind PUBREC only PUBREL.
  test('sends PUBREL alone for what its client has said to have', async (context) => {
    const { store, first } = await begun(context);
    first.session.enqueue(runOf(['a', 'b'], 2), 2, false, false);
    await first.settle();
    assert.deepEqual(first.send(), ['34 1 a', '34 2 b']);
    first.session.window!.onPubrec(1);
    await first.settle();
    assert.deepEqual(next(store, 10).send(), ['62 1', '3c 2 b']);
  });

  // [MQTT-4.3.3-1]: a row is there until all of it is acknowledged, however long it is.
  test('sends nothing of QoS 2 anew that was sent as part of a long run', async (context) => {
    const { store, first } = await begun(context);
    const letters = [...'abcdefghijklmn'];
    first.session.enqueue(runOf(letters, 2), 2, false, false);
    await first.settle();
    assert.equal(first.send().length, LIMITS.maxInflight);
    const window = first.session.window!;
    for (const id of [1, 2, 3]) window.onPubrec(id);
    for (const id of [1, 2, 3]) window.onPubcomp(id);
    assert.deepEqual(first.send(), ['34 11 k', '34 12 l', '34 13 m']);
    window.onPubrec(11);
    await first.settle();
    const second = next(store, LIMITS.maxInflight, LIMITS.maxInflight);
    const isKnown = (id: number) => id <= 3 || id === 11;
    const again = letters.map((letter, at) =>
      isKnown(at + 1) ? `62 ${at + 1}` : `3c ${at + 1} ${letter}`,
    );
    assert.deepEqual(second.send(), again);
  });

  test('has nothing of what was acknowledged', async (context) => {
    const { store, first } = await begun(context);
    first.session.enqueue(runOf(['a']), 1, false, false);
    first.session.enqueue(runOf(['b']), 1, false, false);
    await first.settle();
    first.send();
    first.session.window!.onPuback(1);
    await first.settle();
    assert.deepEqual(next(store, 10).send(), ['3a 2 b']);
  });

  // [MQTT-4.3.3-1]: what was sent beyond that would be sent anew, had the broker been killed.
  test('is sent no more at a time than its row says, whatever is reloaded', async (context) => {
    const { store, first } = await begun(context);
    const { session, kept } = first;
    session.limits = { ...LIMITS, maxInflight: 2 } as never;
    const wills = { copy: () => null } as never;
    const parts = { shardIndex: 0, kept, wills, deadlines: { now: 0 } };
    const rows = new SessionRows(parts);
    rows.save(session, { receiveMaximum: PACKET_ID_MAX, will: null });
    for (const payload of ['a', 'b', 'c']) session.enqueue(runOf([payload], 2), 2, false, false);
    await first.settle();
    session.limits = LIMITS as never;
    assert.deepEqual(first.send(), ['34 1 a', '34 2 b']);
    // Its client comes again.
    rows.save(session, { receiveMaximum: PACKET_ID_MAX, will: null });
    assert.deepEqual(first.send(), ['34 3 c']);
    await first.settle();
    const second = new Process(store);
    second.session.kept = new SessionRows({ ...parts, kept: second.kept }).find('c')!.kept;
    second.session.find();
    second.session.openWindow().beginResend();
    assert.deepEqual(second.send(), ['3c 1 a', '3c 2 b', '3c 3 c']);
  });

  // What was noted of positions that an empty queue had is not of those that begin anew.
  test('sends new messages, whatever its client had said of old ones', async (context) => {
    const { store, first } = await begun(context);
    first.session.enqueue(runOf(['a', 'b'], 2), 2, false, false);
    await first.settle();
    first.send();
    for (const id of [1, 2]) first.session.window!.onPubrec(id);
    for (const id of [1, 2]) first.session.window!.onPubcomp(id);
    await first.settle();
    const second = next(store, 10);
    second.session.enqueue(runOf(['c', 'd'], 2), 2, false, false);
    await second.settle();
    assert.deepEqual(second.send(), ['34 1 c', '34 2 d']);
    assert.deepEqual(next(store, 10).send(), ['3c 1 c', '3c 2 d']);
  });

  // Of a message that has come since the start, and what was on disk before.
  test('moves with what came since it was found', async (context) => {
    const { store, first } = await begun(context);
    first.session.enqueue(runOf(['a']), 1, false, false);
    await first.settle();
    const second = new Process(store);
    second.kept.take(second.session, NUMBER, { mayBeSent: 1, next: 0 });
    second.session.enqueue(runOf(['b']), 1, false, false);
    const head = second.session.head();
    const window = second.session.makeWindow();
    for (let run = second.session.takeRun(); run !== null; run = second.session.takeRun()) {
      window.append({ ...run, bytes: run.bytes.subarray(run.start, run.end) }, run.deliveryHeader);
    }
    await second.settle();
    const third = new Process(store);
    third.session.restore(head, window, third.kept.arrive(head.kept));
    third.session.window!.beginResend();
    third.kept.watch(third.session);
    assert.deepEqual(third.send(), ['3a 1 a']);
    assert.equal(third.session.kept!.refill(third.session.window!, 1_000), 1);
    assert.deepEqual(third.send(), ['32 2 b']);
  });

  for (const [policy, kept] of [
    ['drop-newest', ['32 1 a', '32 2 b']],
    ['drop-oldest', ['32 2 b', '32 3 c']],
  ] as const) {
    test(`loses by ${policy} while the store is full`, async (context) => {
      const store = new TemporaryStore(context);
      const process = new Process(store, policy);
      process.kept.begin(process.session);
      for (const payload of ['a', 'b']) process.session.enqueue(runOf([payload]), 1, false, false);
      await process.settle();
      Atomics.store(new Int32Array(store.words), FULL_WORD, 1);
      const dropped = process.session.enqueue(runOf(['c']), 1, false, false);
      assert.equal(dropped + process.session.displaced, 1);
      await process.settle();
      assert.deepEqual(process.send(), kept);
    });
  }

  // Else a store of short messages would grow to as many long ones.
  test('loses as many bytes as come, by drop-oldest', async (context) => {
    const store = new TemporaryStore(context);
    const process = new Process(store, 'drop-oldest');
    process.kept.begin(process.session);
    for (let n = 0; n < 10; n++) process.session.enqueue(runOf([`short ${n}`]), 1, false, false);
    await process.settle();
    Atomics.store(new Int32Array(store.words), FULL_WORD, 1);
    const long = runOf(['x'.repeat(100)]);
    const least = Math.ceil(long.bytes.length / runOf(['short 0']).bytes.length);
    assert.equal(process.session.enqueue(long, 1, false, false), 0);
    assert.equal(process.session.displaced, least);
    await process.settle();
    assert.match(process.send()[0]!, new RegExp(`short ${least}$`));
  });

  // Else the packet id might stand for another message after a crash.
  test('is sent no message of QoS 2 before that is on disk', async (context) => {
    const { first } = await begun(context);
    first.session.enqueue(runOf(['a'], 2), 2, false, false);
    assert.deepEqual(first.send(), []);
    await first.settle();
    assert.deepEqual(first.send(), ['34 1 a']);
  });
});

// Else it would wait until its client comes again.
test('what comes for a client that is here and behind is read on', async (context) => {
  const { first } = await begun(context);
  const { session, kept } = first;
  session.outlet = { isBlocked: false, isStalled: true, wake() {} } as unknown as Outlet;
  for (let id = 1; id <= 4; id += 2) {
    session.enqueue(runOf(['x'.repeat(KEPT_WINDOW_BYTES)]), 1, false);
    session.enqueue(runOf(['behind']), 1, false);
    assert.equal(session.kept!.queue.onDisk, 1);
    await first.settle();
    const window = session.window!;
    assert.ok(window.fill(Buffer.alloc(2 * KEPT_WINDOW_BYTES), 0, 2 * KEPT_WINDOW_BYTES, 1) > 0);
    assert.equal(kept.onTurn(), true);
    assert.deepEqual(first.send(), [`32 ${id + 1} behind`]);
    for (const each of [id, id + 1]) window.onPuback(each);
    await first.settle();
    // It has nothing there, and is not looked at any more.
    assert.equal(kept.onTurn(), false);
  }
});
