/** Questions that take a while, a few at a time, by turns of addresses. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BusyError, FairQueue, type QueueBounds } from '../../../src/access/fair-queue.js';
import { RefusedAddresses } from '../../../src/access/refused-addresses.js';
import {
  AFTER_REFUSAL_MS,
  PROMPT_REFUSALS,
  REFUSAL_DELAY_MS,
  REFUSAL_DELAY_MS_MAX,
  REFUSALS_HALF_LIFE_MS,
  REFUSED_ADDRESSES_MAX,
} from '../../../src/base/limits.js';
import { addressKey } from '../../../src/transport/address-key.js';
import { eventually } from '../../support/waiting.js';

const BOUNDS = { atOnce: 9, atOncePerAddress: 9, waitingMax: 100, waitingPerAddressMax: 100 };

/** A queue whose questions a test answers, and which it sees begin. */
class Asked {
  readonly begun: string[] = [];
  now = 0;
  readonly queue: FairQueue;
  readonly #answers = new Map<string, (isRight: boolean) => void>();
  readonly left = new Set<string>();

  constructor(bounds: Partial<QueueBounds>) {
    const all = { ...BOUNDS, atOnce: 1, ...bounds };
    this.queue = new FairQueue(all, () => this.now);
  }

  /** Each letter is an address. */
  ask(name: string): Promise<boolean | null> {
    const address = `10.0.0.${name.charCodeAt(0)}`;
    const ask = (): Promise<boolean> => {
      this.begun.push(name);
      return new Promise((resolve) => this.#answers.set(name, resolve));
    };
    const isOver = (): boolean => this.left.has(name);
    return this.queue.run(address, isOver, ask, (isRight) => !isRight);
  }

  async answer(name: string, isRight = true): Promise<void> {
    this.#answers.get(name)?.(isRight);
    await nextTurn();
  }
}

describe('a fair queue', () => {
  test('asks by turns of addresses, and in order for each', async () => {
    const asked = new Asked({});
    for (const name of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) void asked.ask(name);
    const order = ['a1', 'a2', 'b1', 'c1', 'a3', 'b2'];
    for (const name of order) {
      assert.equal(asked.begun.at(-1), name);
      await asked.answer(name);
    }
    assert.deepEqual(asked.begun, order);
    assert.equal(asked.queue.waiting, 0);
  });

  test('asks as many at once as it may', async () => {
    const asked = new Asked({ atOnce: 2 });
    const answers = ['a1', 'a2', 'a3'].map((name) => asked.ask(name));
    assert.deepEqual(asked.begun, ['a1', 'a2']);
    await asked.answer('a2');
    assert.deepEqual(asked.begun, ['a1', 'a2', 'a3']);
    await asked.answer('a1');
    await asked.answer('a3');
    assert.deepEqual(await Promise.all(answers), [true, true, true]);
  });

  test('asks as many at once for one address as that may, and others beside it', async () => {
    const asked = new Asked({ atOnce: 3, atOncePerAddress: 1 });
    for (const name of ['a1', 'a2', 'b1', 'a3']) void asked.ask(name);
    assert.deepEqual(asked.begun, ['a1', 'b1']);
    await asked.answer('a1');
    assert.deepEqual(asked.begun, ['a1', 'b1', 'a2']);
  });

  test('has room for so many of an address, and of all', async () => {
    const asked = new Asked({ waitingMax: 4, waitingPerAddressMax: 2 });
    for (const name of ['a0', 'a1', 'a2']) void asked.ask(name);
    assert.throws(() => asked.ask('a3'), BusyError);
    void asked.ask('b1');
    void asked.ask('b2');
    assert.throws(() => asked.ask('c1'), BusyError);
    await asked.answer('a0');
    void asked.ask('c1');
  });

  test('asks nothing for clients that have left, and gives their places away', async () => {
    const asked = new Asked({ waitingPerAddressMax: 2 });
    void asked.ask('a0');
    const answers = [asked.ask('a1'), asked.ask('a2')];
    asked.left.add('a1').add('a2');
    const third = asked.ask('a3');
    assert.deepEqual(await Promise.all(answers), [null, null]);
    asked.left.add('a3');
    await asked.answer('a0');
    assert.equal(await third, null);
    assert.deepEqual(asked.begun, ['a0']);
  });

  test('has an address wait whose client was refused, and nobody else', async () => {
    const asked = new Asked({});
    for (const name of ['a1', 'a2', 'b1', 'b2']) void asked.ask(name);
    await asked.answer('a1', false);
    await asked.answer('b1');
    await asked.answer('b2');
    assert.deepEqual(asked.begun, ['a1', 'b1', 'b2']);
    asked.now += AFTER_REFUSAL_MS;
    await eventually(() => asked.begun.includes('a2'), 'the turn of a');
  });

  test('goes on when a question fails', async () => {
    const queue = new FairQueue({ ...BOUNDS, atOnce: 1 });
    const isOver = (): boolean => false;
    const failing = queue.run(
      'a',
      isOver,
      () => Promise.reject(new Error('no')),
      () => false,
    );
    const next = queue.run(
      'a',
      isOver,
      () => Promise.resolve(1),
      () => false,
    );
    await assert.rejects(failing, /no/);
    assert.equal(await next, 1);
  });

  test('lets go of all when it is closed', async () => {
    const asked = new Asked({});
    void asked.ask('a1');
    const waiting = asked.ask('a2');
    asked.queue.close();
    assert.equal(await waiting, null);
  });
});

describe('addresses with refusals', () => {
  test('have the first ones told at once, the next ones later and later, and are forgiven', () => {
    const refused = new RefusedAddresses();
    for (let n = 0; n < PROMPT_REFUSALS; n++) assert.equal(refused.add('10.0.0.1', 0), 0);
    assert.equal(refused.add('10.0.0.1', 0), REFUSAL_DELAY_MS);
    assert.equal(refused.add('10.0.0.1', 0), 2 * REFUSAL_DELAY_MS);
    assert.equal(refused.add('10.0.0.2', 0), 0);
    for (let n = 0; n < 10_000; n++) {
      assert.ok(refused.add('10.0.0.1', 0) <= REFUSAL_DELAY_MS_MAX);
    }
    assert.equal(refused.add('10.0.0.1', 0), REFUSAL_DELAY_MS_MAX);
    assert.equal(refused.add('10.0.0.1', 20 * REFUSALS_HALF_LIFE_MS), 0);
  });

  test('are so many at most', () => {
    const refused = new RefusedAddresses();
    for (let n = 0; n < REFUSED_ADDRESSES_MAX + 100; n++) refused.add(`10.0.${n >> 8}.${n}`, 0);
    assert.ok(refused.size <= REFUSED_ADDRESSES_MAX);
  });

  test('are one where they are one network of IPv6, or the same in other words', () => {
    const same = [
      ['::ffff:10.0.0.1', '10.0.0.1'],
      ['2001:db8::1', '2001:db8:0:0:ffff::2'],
      ['2001:DB8::1', '2001:db8::'],
      ['fe80::1%eth0', 'fe80::2%eth1'],
      ['::1', '::'],
    ];
    for (const [a, b] of same) assert.equal(addressKey(a), addressKey(b), a);
    assert.notEqual(addressKey('2001:db8:0:1::1'), addressKey('2001:db8::1'));
    assert.notEqual(addressKey('10.0.0.1'), addressKey('10.0.0.2'));
  });
});
