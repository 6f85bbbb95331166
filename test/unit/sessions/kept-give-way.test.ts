/** Messages on disk that give way to newer ones, or all but the newest of each topic. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { KEPT_WINDOW_BYTES } from '../../../src/base/limits.js';
import type { SlowConsumerPolicy } from '../../../src/base/slow-consumer-policy.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { KeptSessions } from '../../../src/sessions/kept-sessions.js';
import { Session } from '../../../src/sessions/session.js';
import type { WindowLimits } from '../../../src/sessions/window-limits.js';
import { TemporaryStore, type TestJournal } from '../store/temporary-store.js';
import { fillFrames, moveRuns, numberedRun, runOf, type Seen } from './frames.js';

const LIMITS = { maxInflight: 3, maxQueuedMessages: 5, maxQueuedBytes: 10_000_000 };
const NUMBER = 32;

function limitsOf(slowConsumerPolicy: SlowConsumerPolicy, own: Partial<WindowLimits> = {}) {
  return { ...LIMITS, slowConsumerPolicy, outboxBytes: 60, ...own };
}

/** The sessions of a process; another one has the same store. */
class Process {
  readonly kept: KeptSessions;
  readonly absent = new AbsentQueues();
  readonly session: Session;
  readonly #journal: TestJournal;

  constructor(store: TemporaryStore, limits: WindowLimits) {
    this.#journal = store.journal();
    this.session = new Session('c', 1_000, 4, 1, limits, this.absent);
    const { journal } = this.#journal;
    const parts = { journal, reader: store.reader, shardIndex: 0, base: NUMBER, waits: true };
    this.kept = new KeptSessions({ ...parts, storeFull: 'reject' });
  }

  /** As the shard does at the end of a turn, until all is durable. */
  async settle(): Promise<void> {
    this.kept.beforeSubmit();
    await this.#journal.settled();
    this.kept.onDurable();
  }

  /** What the window sends now, from disk too. */
  send(): Seen[] {
    const window = this.session.openWindow();
    const frames: Seen[] = [];
    do frames.push(...fillFrames(window));
    while (this.session.kept!.refill(window, 1_000) > 0);
    return frames;
  }

  /** Sends and acknowledges all there is. @returns the payloads. */
  async drain(): Promise<string[]> {
    const payloads: string[] = [];
    for (;;) {
      await this.settle();
      const frames = this.send();
      if (frames.length === 0) return payloads;
      for (const { packetId, payload } of frames) {
        payloads.push(payload);
        this.session.window!.onPuback(packetId);
      }
    }
  }
}

function begun(context: TestContext, limits: WindowLimits) {
  const store = new TemporaryStore(context);
  const first = new Process(store, limits);
  first.kept.begin(first.session);
  return { store, first };
}

/** The next process finds the session. */
function found(store: TemporaryStore, limits: WindowLimits): Process {
  const process = new Process(store, limits);
  const { maxInflight: mayBeSent } = limits;
  process.kept.take(process.session, NUMBER, { mayBeSent, inflightMax: mayBeSent, next: 0 });
  return process;
}

/** The same, whose client has come. */
function next(store: TemporaryStore, limits: WindowLimits): Process {
  const process = found(store, limits);
  process.session.find();
  process.session.openWindow().beginResend();
  return process;
}

/** Short forms of what was sent. */
function brief(frames: readonly Seen[]): string[] {
  return frames.map(({ packetId, payload, dup }) => `${packetId}:${payload}${dup ? ' dup' : ''}`);
}

/** Queues messages of these payloads, one by one. @returns how many gave way. */
function enqueue({ session }: Process, from: number, to: number, qos: 1 | 2 = 1): number {
  let displaced = 0;
  for (let n = from; n < to; n++) {
    assert.equal(session.enqueue(numberedRun(n, 1, qos), qos, false, false), 0);
    displaced += session.displaced;
  }
  return displaced;
}

describe('a session on disk of the policy drop-oldest', () => {
  const limits = limitsOf('drop-oldest');

  test('has the newest there, and nothing of what has given way', async (context) => {
    const { store, first } = begun(context, limits);
    assert.equal(enqueue(first, 0, 3), 0);
    await first.settle();
    assert.equal(enqueue(first, 3, 20), 15);
    await first.settle();
    assert.equal(store.rows().queue, 5);
    assert.equal(first.absent.queuedMessages, 5);
    const second = next(store, limits);
    assert.deepEqual(brief(second.send()), ['16:15 dup', '17:16 dup', '18:17 dup']);
  });

  test('keeps what is in flight, with its packet ids, over a restart too', async (context) => {
    const { store, first } = begun(context, limits);
    enqueue(first, 0, 4);
    await first.settle();
    assert.deepEqual(brief(first.send()), ['1:0', '2:1', '3:2']);
    assert.equal(enqueue(first, 4, 70_000), 70_000 - 3 - 5);
    await first.settle();
    assert.equal(store.rows().queue, 3 + 5);
    for (const process of [first, next(store, limits)]) {
      const again = process === first ? [] : ['1:0 dup', '2:1 dup', '3:2 dup'];
      assert.deepEqual(brief(process.send()), again);
    }
    const third = next(store, limits);
    third.send();
    for (const id of [3, 1]) third.session.window!.onPuback(id);
    assert.deepEqual(third.send(), []);
    third.session.window!.onPuback(2);
    // 69,995 % 65,535 + 1.
    assert.deepEqual(brief(third.send()), ['4461:69995', '4462:69996', '4463:69997']);
    await third.settle();
    const fourth = next(store, limits);
    assert.deepEqual(await fourth.drain(), ['69995', '69996', '69997', '69998', '69999']);
    assert.equal(store.rows().queue, undefined);
  });

  test('loses the rest of a run that was sent in part', async (context) => {
    const { store, first } = begun(context, limits);
    first.session.enqueue(numberedRun(0, 5), 1, false, false);
    await first.settle();
    assert.equal(first.send().length, 3);
    assert.equal(enqueue(first, 5, 12), 2 + 2);
    await first.settle();
    first.session.window!.onPuback(1);
    await first.settle();
    const second = next(store, limits);
    assert.deepEqual(await second.drain(), ['0', '1', '2', '7', '8', '9', '10', '11']);
  });

  test('loses what is on disk alone', async (context) => {
    const long = limitsOf('drop-oldest', { maxQueuedMessages: 100, maxInflight: 100 });
    const { store, first } = begun(context, long);
    const put = (n: number) => {
      first.session.enqueue(runOf([String(n).padEnd(10_000)]), 1, false, false);
      return first.session.displaced;
    };
    let displaced = 0;
    for (let n = 0; n < 350; n++) {
      displaced += put(n);
      if (n % 50 === 49) await first.settle();
    }
    assert.equal(displaced, 250);
    assert.ok(first.session.window!.queuedBytes < 2 * KEPT_WINDOW_BYTES);
    await first.settle();
    const payloads = await next(store, long).drain();
    assert.deepEqual(
      payloads.map((payload) => Number(payload)),
      Array.from({ length: 100 }, (_, at) => 250 + at),
    );
  });

  // What is on its way to disk cannot be read there.
  test('loses no newest message, however fast they come', async (context) => {
    const long = limitsOf('drop-oldest', { maxQueuedMessages: 40, maxInflight: 40 });
    const { store, first } = begun(context, long);
    let displaced = 0;
    for (let n = 0; n < 300; n++) {
      const run = runOf([String(n).padEnd(10_000)]);
      assert.equal(first.session.enqueue(run, 1, false, false), 0);
      displaced += first.session.displaced;
    }
    await first.settle();
    displaced += enqueue(first, 300, 301);
    await first.settle();
    const payloads = (await next(store, long).drain()).map(Number);
    assert.equal(payloads.length, 40);
    assert.deepEqual([payloads.at(-1), displaced], [300, 301 - 40]);
  });

  test('that nobody has looked at keeps what may have been sent', async (context) => {
    const { store, first } = begun(context, limits);
    enqueue(first, 0, 4);
    await first.settle();
    first.send();
    await first.settle();
    const second = found(store, limits);
    assert.equal(enqueue(second, 4, 20), 20 - 3 - 5);
    assert.deepEqual([second.absent.inflightMessages, second.absent.queuedMessages], [3, 5]);
    await second.settle();
    const third = next(store, limits);
    assert.deepEqual(await third.drain(), ['0', '1', '2', '15', '16', '17', '18', '19']);
  });

  test('moves to another shard with what has given way behind others', async (context) => {
    const { store, first } = begun(context, limits);
    enqueue(first, 0, 4);
    await first.settle();
    first.send();
    enqueue(first, 4, 20);
    const head = first.session.head();
    await first.settle();
    const second = new Process(store, limits);
    const window = second.session.makeWindow();
    moveRuns(first.session, window);
    second.session.restore(head, window, second.kept.arrive(head.kept));
    second.session.window!.beginResend();
    assert.deepEqual(brief(second.send()), ['1:0 dup', '2:1 dup', '3:2 dup']);
    for (const id of [1, 2, 3]) second.session.window!.onPuback(id);
    assert.deepEqual(brief(second.send()), ['16:15', '17:16', '18:17']);
  });
});

describe('a session on disk of the policy latest', () => {
  const limits = limitsOf('latest', { maxQueuedMessages: 10_000 });
  const put = ({ session }: Process, n: number, payload = String(n), qos: 1 | 2 = 1) => {
    const refused = session.enqueue(runOf([payload], qos, `t/${n % 5}`), qos, false, false);
    assert.equal(refused, 0);
    return session.displaced;
  };
  /** The last five, behind what waited before it was too much. */
  const assertNewest = (payloads: readonly string[], count: number) => {
    const values = payloads.map((payload) => Number(payload));
    assert.ok(values.length < 30, `${values}`);
    for (let topic = 0; topic < 5; topic++) {
      const own = values.filter((value) => value % 5 === topic);
      assert.deepEqual(
        own,
        own.toSorted((a, b) => a - b),
      );
      assert.equal(own.at(-1), count - 5 + topic);
    }
  };

  for (const length of [1, 20_000]) {
    test(`keeps each topic's newest of ${length} bytes there`, async (context) => {
      const own = { ...limits, outboxBytes: Math.max(60, 20 * length) };
      const { store, first } = begun(context, own);
      let displaced = 0;
      for (let n = 0; n < 500; n++) {
        displaced += put(first, n, String(n).padEnd(length));
        if (n % 7 === 0) await first.settle();
      }
      await first.settle();
      assert.ok(displaced > 450);
      assert.equal(store.rows().queue, 500 - displaced);
      assert.equal(first.session.window!.waiting, 500 - displaced);
      assertNewest(await next(store, own).drain(), 500);
      assert.equal(store.rows().queue, undefined);
    });
  }

  test('goes on after a restart, and keeps the newest that it had', async (context) => {
    const { store, first } = begun(context, limits);
    for (let n = 0; n < 100; n++) put(first, n);
    await first.settle();
    const second = found(store, limits);
    for (let n = 100; n < 200; n++) put(second, n);
    await second.settle();
    assertNewest(await next(store, limits).drain(), 200);
  });

  // A client would get the older one behind it after a crash.
  test('sends what has replaced another message when it is durable', async (context) => {
    const { store, first } = begun(context, { ...limits, maxInflight: 100 });
    for (let n = 0; n < 100; n++) put(first, n);
    await first.settle();
    for (let n = 100; n < 200; n++) put(first, n);
    const early = first.send().map(({ payload }) => Number(payload));
    assert.ok(early.length > 0 && Math.max(...early) < 100, `${early}`);
    await first.settle();
    assert.ok(store.rows().queue! < 30);
    const late = first.send().map(({ payload }) => Number(payload));
    assert.deepEqual(
      late.toSorted((a, b) => a - b),
      [195, 196, 197, 198, 199],
    );
  });

  test('reads from disk what is newest, though an older one is there', async (context) => {
    const own = { ...limits, outboxBytes: 400_000 };
    const { first } = begun(context, own);
    for (let n = 0; n < 25; n++) put(first, n, String(n).padEnd(20_000));
    await first.settle();
    for (let n = 25; n < 60; n++) put(first, n, String(n).padEnd(20_000));
    // Nothing of it is committed when the client comes.
    const early = first.send().map(({ packetId, payload }) => [packetId, Number(payload)]);
    for (const [packetId] of early) first.session.window!.onPuback(packetId!);
    const rest = (await first.drain()).map(Number);
    const all = [...early.map(([, value]) => value!), ...rest];
    for (const topic of [0, 1, 2, 3, 4]) {
      const values = all.filter((value) => value % 5 === topic);
      assert.equal(values.at(-1), 55 + topic);
      assert.deepEqual(
        values,
        values.toSorted((a, b) => a - b),
      );
    }
  });
});

test('sessions on disk lose nothing but what gave way, whatever happens', async (context) => {
  const step = fc.tuple(
    fc.constantFrom('enqueue', 'enqueue', 'enqueue', 'fill', 'ack', 'ack', 'settle', 'restart'),
    fc.integer({ min: 1, max: 9 }),
  );
  const policies = fc.constantFrom('drop-oldest', 'latest');
  const qualities = fc.constantFrom(1, 2);
  const steps = fc.array(step, { maxLength: 60 });
  const property = fc.asyncProperty(policies, qualities, steps, async (policy, qos, all) => {
    const limits = limitsOf(policy as SlowConsumerPolicy);
    let { store, first: process } = begun(context, limits);
    let queued = 0;
    let lost = 0;
    const received = new Map<number, number>();
    let unacknowledged: number[] = [];
    const fill = () => {
      for (const { type, packetId, payload, dup } of process.send()) {
        if (type === 'pubrel') {
          process.session.window!.onPubcomp(packetId);
          continue;
        }
        const value = Number(payload);
        if (received.has(value)) assert.deepEqual([dup, packetId], [true, received.get(value)]);
        received.set(value, packetId);
        unacknowledged.push(packetId);
      }
    };
    const ack = (at: number) => {
      const [packetId] = unacknowledged.splice(at % unacknowledged.length, 1);
      const window = process.session.window!;
      if (qos === 1) assert.equal(window.onPuback(packetId!), true);
      else assert.ok(window.onPubrec(packetId!) && window.onPubcomp(packetId!));
    };
    const finish = async () => {
      await process.settle();
      process = next(store, limits);
      unacknowledged = [];
      fill();
    };
    for (const [what, n] of all) {
      if (what === 'enqueue') {
        // One topic: of what has come since, `latest` keeps one.
        const run = numberedRun(queued, n, qos as 1 | 2);
        lost += process.session.enqueue(run, qos as 1 | 2, false, false);
        lost += process.session.displaced;
        queued += n;
      } else if (what === 'fill') fill();
      else if (what === 'ack' && unacknowledged.length > 0) ack(n);
      else if (what === 'settle') await process.settle();
      else if (what === 'restart') await finish();
    }
    for (;;) {
      await process.settle();
      fill();
      if (unacknowledged.length === 0) break;
      while (unacknowledged.length > 0) ack(0);
    }
    assert.equal(received.size + lost, queued);
    const values = [...received.keys()];
    assert.deepEqual(
      values,
      values.toSorted((a, b) => a - b),
    );
    if (queued > 0) assert.equal(values.at(-1), queued - 1);
    await process.settle();
    assert.equal(store.rows().queue, undefined);
    await store.close();
  });
  await fc.assert(property, { numRuns: 15 });
});
