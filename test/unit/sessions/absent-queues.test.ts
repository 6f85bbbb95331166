/** Whatever happens to sessions, what is counted for absent clients is what they keep. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import {
  AWAITING_PUBACK,
  AWAITING_PUBCOMP,
  AWAITING_PUBREC,
} from '../../../src/sessions/inflight.js';
import type { OutgoingWindow } from '../../../src/sessions/outgoing-window.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import { type Outlet, Session } from '../../../src/sessions/session.js';
import { moveRuns, numberedRun } from './frames.js';

const LIMITS = { maxInflight: 5, maxQueuedMessages: 20, maxQueuedBytes: 1_000 };
const OUTLET = { isStalled: true, wake() {} } as unknown as Outlet;
const TARGET = Buffer.alloc(10_000);

type Step = { readonly on: 0 | 1 } & (
  | { readonly do: 'enqueue' | 'share'; readonly count: number; readonly qos: 1 | 2 }
  | { readonly do: 'come' | 'send' | 'acknowledge' | 'go' | 'end' | 'move' }
);

const onArb = fc.constantFrom<(0 | 1)[]>(0, 1);
const stepArb: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    on: onArb,
    do: fc.constantFrom('enqueue', 'share' as const),
    count: fc.integer({ min: 1, max: 15 }),
    qos: fc.constantFrom<(1 | 2)[]>(1, 2),
  }),
  fc.record({
    on: onArb,
    do: fc.constantFrom('come', 'send', 'acknowledge', 'go', 'end', 'move' as const),
  }),
);

/** What the client answers to all that it was sent. */
function acknowledgeAll(window: OutgoingWindow): void {
  const { oldestId, states } = window.head();
  for (const [at, state] of states.entries()) {
    const id = oldestId + at;
    if (state === AWAITING_PUBACK) window.onPuback(id);
    if (state === AWAITING_PUBREC) window.onPubrec(id);
    if (state === AWAITING_PUBREC || state === AWAITING_PUBCOMP) window.onPubcomp(id);
  }
}

/** Two persistent sessions of one shard. */
class Model {
  readonly total: QueuedTotal;
  readonly absent: AbsentQueues;
  readonly sessions: [Session, Session];

  constructor(limit: number) {
    this.total = new QueuedTotal(limit);
    this.absent = new AbsentQueues(this.total);
    this.sessions = [this.#make(), this.#make()];
  }

  #make(): Session {
    return new Session('c', Number.POSITIVE_INFINITY, 4, 1, LIMITS, this.absent);
  }

  take(step: Step): void {
    const session = this.sessions[step.on];
    switch (step.do) {
      case 'enqueue':
        session.enqueue(numberedRun(1, step.count, step.qos), step.qos, false);
        return;
      case 'share': {
        const run = numberedRun(1, step.count, step.qos);
        for (const each of this.sessions) each.enqueue(run, step.qos, false);
        return;
      }
      case 'come':
        if (session.outlet !== null) return;
        session.attach(OUTLET);
        session.window?.beginResend();
        return;
      case 'send':
        if (session.outlet !== null) session.window?.fill(TARGET, 0, TARGET.length, 1);
        return;
      case 'acknowledge':
        if (session.outlet === null) return;
        if (session.window !== null) acknowledgeAll(session.window);
        return;
      case 'go':
        if (session.outlet !== null) session.detach();
        return;
      case 'end':
        session.end();
        this.sessions[step.on] = this.#make();
        return;
      case 'move':
        this.#move(step.on);
    }
  }

  /** From the shard to itself: what has come to the new session meanwhile goes behind. */
  #move(on: 0 | 1): void {
    const session = this.sessions[on];
    if (session.outlet !== null) session.detach();
    const next = this.#make();
    next.enqueue(numberedRun(100, 2), 1, false);
    const head = session.head();
    const arrived = next.makeWindow();
    const append: typeof arrived.append = (run, deliveryHeader) => {
      this.absent.remove(arrived);
      arrived.append(run, deliveryHeader);
      this.absent.add(arrived);
    };
    moveRuns(session, { append });
    next.restore(head, arrived);
    session.end();
    this.sessions[on] = next;
  }

  /** All sessions end: nothing waits any more. */
  endAll(): void {
    for (const session of this.sessions) session.end();
    assert.equal(this.total.bytes, 0);
  }

  check(): void {
    const isAnythingKept = this.sessions.some(
      ({ window }) => window !== null && window.queuedBytes + window.inflightBytes > 0,
    );
    assert.equal(this.total.bytes > 0, isAnythingKept);
    const windows = this.sessions
      .filter(({ outlet }) => outlet === null)
      .map(({ window }) => ({ queued: window?.queuedMessages ?? 0, sent: window?.inflight ?? 0 }));
    const { queuedMessages, inflightMessages } = this.absent;
    assert.deepEqual(
      [queuedMessages, inflightMessages],
      [
        windows.reduce((sum, { queued }) => sum + queued, 0),
        windows.reduce((sum, { sent }) => sum + sent, 0),
      ],
    );
  }
}

describe('what is kept for absent clients', () => {
  test('is counted while they are absent, only then, and goes with the sessions', () => {
    const limitArb = fc.constantFrom(Number.POSITIVE_INFINITY, 700);
    const stepsArb = fc.array(stepArb, { minLength: 1, maxLength: 60 });
    const property = fc.property(limitArb, stepsArb, (limit, steps) => {
      const model = new Model(limit);
      for (const step of steps) {
        model.take(step);
        model.check();
      }
      model.endAll();
    });
    fc.assert(property, { numRuns: 300 });
  });
});
