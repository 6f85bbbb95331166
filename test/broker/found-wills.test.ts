/** Wills that a broker finds on disk when it starts, each to be published once, to everybody. */

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { SHARDS_MAX } from '../../src/base/limits.js';
import { movedOf } from '../../src/sessions/delayed-wills.js';
import { prepareWill } from '../../src/sessions/will.js';
import type { SessionRow } from '../../src/shard/session-rows.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { connect } from '../support/packets.js';
import { connect5, prop } from '../support/packets5.js';
import type { TestClient } from '../support/test-client.js';
import { SESSION_ROW } from '../unit/shard/session-row.js';
import { TemporaryStore, temporaryFolder } from '../unit/store/temporary-store.js';

const WORKERS = 2;
/** Wills, half of them on each shard. */
const WILLS = Array.from({ length: 20 }, (_, n) => n);
const FILTER = 'w/+';
const SHARED = `$share/g/${FILTER}`;
const HOUR_MS = 3_600_000;
/** Properties of 5.0. */
const SESSION_EXPIRY = 0x11;
const WILL_DELAY = 0x18;
const topicOf = (n: number) => `w/${n}`;
const leaverOf = (n: number) => `leaver ${n}`;

const ROW: SessionRow = { ...SESSION_ROW, leftAt: Date.now() - HOUR_MS };

/** Wills that have to be published at a start, as the rows of their sessions say it. */
const CASES: readonly [what: string, leftMs: number, row: Partial<SessionRow>][] = [
  // [MQTT-3.1.2-8], [MQTT-3.1.3-9]: the session has ended before the delay.
  ['whose session has expired', 2 * HOUR_MS, { expiryMs: 1_000, willAt: Date.now() + HOUR_MS }],
  // [MQTT-3.1.3-9]: the delay is over.
  ['whose delay is over', 60_000, { willAt: Date.now() - 60_000 }],
  // [MQTT-3.1.2-8]: its connection has ended with the broker.
  ['of a client that was here', 0, { leftAt: 0 }],
  ['whose session ends with its connection, which was here', 0, { leftAt: 0, expiryMs: 0 }],
];

/** A folder with sessions of readers, one on each shard and one of a group, and of leavers. */
async function fill(context: TestContext, leftMs: number, row: Partial<SessionRow>) {
  const store = new TemporaryStore(context);
  const { journal, settled } = store.journal();
  let number = SHARDS_MAX;
  for (const [home, filter] of [FILTER, FILTER, SHARED].entries()) {
    journal.putSession(++number, `reader ${home}`, { ...ROW, home: home % WORKERS });
    journal.putSubscription(number, filter, 1);
  }
  for (const n of WILLS) {
    const message = {
      topic: topicOf(n),
      payload: Buffer.from(`${n}`),
      qos: 1,
      retain: true,
    } as const;
    const will = movedOf(prepareWill(message), leftMs);
    journal.putSession(++number, leaverOf(n), { ...ROW, home: n % WORKERS, ...row, will });
  }
  await settled();
  await store.close();
  return store.folder;
}

function serve(dataDir: string): Promise<Broker> {
  return startBroker({ workers: WORKERS, sessionsProvider: 'lmdb', dataDir });
}

function resume(broker: Broker, clientId: string): Promise<TestClient> {
  return broker.client({ clientId, cleanSession: false });
}

const READERS = [0, 1, 2].map((n) => `reader ${n}`);
const inOrder = (payloads: readonly string[]) => payloads.map(Number).sort((a, b) => a - b);

describe('a will that is found at a start', () => {
  for (const [what, leftMs, row] of CASES) {
    test(`comes to all, once, and is retained: ${what}`, async (context) => {
      const dataDir = await fill(context, leftMs, row);
      const hasEnded = (row.expiryMs ?? ROW.expiryMs) < HOUR_MS;
      {
        await using broker = await serve(dataDir);
        const leaver = await resume(broker, leaverOf(0));
        assert.equal(leaver.sessionPresent, !hasEnded);
        for (const clientId of READERS) {
          const reader = await resume(broker, clientId);
          await reader.nextMessages(WILLS.length);
          assert.deepEqual(inOrder(reader.payloads), WILLS, clientId);
          await reader.ping();
          assert.equal(reader.messages.length, WILLS.length);
        }
        const other = await broker.client();
        await other.subscribe([FILTER, 0]);
        const retained = await other.nextMessages(WILLS.length);
        assert.deepEqual(inOrder(retained.map(({ payload }) => payload)), WILLS);
        assert.ok(retained.every(({ retain }) => retain));
      }
      // Nor are they published again.
      await using broker = await serve(dataDir);
      await (await broker.client()).publish('w/end', 'end', { qos: 1 });
      for (const clientId of READERS) {
        const reader = await resume(broker, clientId);
        assert.deepEqual(await reader.messagesUntil('end'), [], clientId);
      }
    });
  }
});

describe('the will of a client that is there when the broker stops', () => {
  const WATCHER = 'watcher';

  /** A broker that is stopped while a client is there. @returns the client's id. */
  async function stopped(dataDir: string, properties: Buffer | null): Promise<string> {
    await using broker = await serve(dataDir);
    const watcher = await resume(broker, WATCHER);
    await watcher.subscribe([FILTER, 1]);
    const clientId = unique('there');
    const client = await broker.raw();
    const will = { topic: 'w/1', payload: 'gone', qos: 1 as const };
    if (properties === null) {
      client.send(connect({ clientId, cleanSession: false, will }));
    } else {
      const delay = prop.uint32(WILL_DELAY, HOUR_MS / 1_000);
      client.send(connect5({ clientId, properties, will: { ...will, properties: delay } }));
    }
    await client.readPacket('CONNACK');
    // Before the test closes its clients.
    await broker.server.close();
    return clientId;
  }

  // [MQTT-3.1.2-8]; MQTT 5.0, 3.1.2.5: a server that shuts down may defer it to its next start.
  test('is published at the next start, once', async (context) => {
    const dataDir = temporaryFolder(context);
    await stopped(dataDir, null);
    {
      await using broker = await serve(dataDir);
      const watcher = await resume(broker, WATCHER);
      assert.equal((await watcher.nextMessage()).payload, 'gone');
    }
    await using broker = await serve(dataDir);
    await (await broker.client()).publish('w/end', 'end', { qos: 1 });
    assert.deepEqual(await (await resume(broker, WATCHER)).messagesUntil('end'), []);
  });

  // [MQTT-3.1.3-9]
  test('is not published where the client is back before its delay is over', async (context) => {
    const dataDir = temporaryFolder(context);
    const clientId = await stopped(dataDir, prop.uint32(SESSION_EXPIRY, HOUR_MS / 1_000));
    {
      await using broker = await serve(dataDir);
      assert.ok((await resume(broker, clientId)).sessionPresent);
    }
    await using broker = await serve(dataDir);
    await (await broker.client()).publish('w/end', 'end', { qos: 1 });
    assert.deepEqual(await (await resume(broker, WATCHER)).messagesUntil('end'), []);
  });

  // [MQTT-3.1.3-9]: its session ends.
  test('is published where the client begins anew, whatever its delay', async (context) => {
    const dataDir = temporaryFolder(context);
    const clientId = await stopped(dataDir, prop.uint32(SESSION_EXPIRY, HOUR_MS / 1_000));
    await using broker = await serve(dataDir);
    await broker.client({ clientId });
    assert.equal((await (await resume(broker, WATCHER)).nextMessage()).payload, 'gone');
  });
});
