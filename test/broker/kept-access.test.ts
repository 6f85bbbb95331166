/** What waits on disk for clients who may not read all of it any more. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { MAY_BE_SILENT, openOn } from '../support/on-shard.js';
import { TestClient } from '../support/test-client.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

const WIDE = 'user ann\ntopic #\nuser bob\ntopic a/#\nuser admin\ntopic #\n';
const NARROW = 'user ann\ntopic a/#\nuser bob\ntopic a/#\nuser admin\ntopic #\n';
/** More in all than is kept in memory. */
const MESSAGES = 60;
const PAYLOAD_BYTES = 16_384;
const PAYLOAD = 'x'.repeat(PAYLOAD_BYTES);

/** A store and rules that outlive the broker. */
class Scene {
  readonly #folder = mkdtempSync(join(tmpdir(), 'surgemq-acl-'));
  readonly #file = join(this.#folder, 'acl');
  readonly #dataDir: string;
  readonly clientId = unique('kept');
  readonly #qos: 1 | 2;

  constructor(context: TestContext, qos: 1 | 2) {
    this.#qos = qos;
    this.#dataDir = temporaryFolder(context);
    context.after(() => rmSync(this.#folder, { recursive: true }));
  }

  rule(rules: string): void {
    writeFileSync(this.#file, rules);
  }

  start(): Promise<Broker> {
    return startBroker({
      ...{ workers: 2, authenticator: 'mockSuccess', aclFile: this.#file, ...MAY_BE_SILENT },
      ...{ sessionsProvider: 'lmdb', dataDir: this.#dataDir },
    });
  }

  /** The client, on this shard. */
  async open(broker: Broker, shardIndex: number, username = 'ann'): Promise<TestClient> {
    const { clientId } = this;
    const raw = await openOn(broker, shardIndex);
    return TestClient.over(raw, { clientId, cleanSession: false, username });
  }

  /** It has subscribed to everything, and left; messages wait for it, every other one of `b`. */
  async fill(broker: Broker): Promise<void> {
    const client = await this.open(broker, 0);
    await client.subscribe(['a', this.#qos], ['b', this.#qos]);
    await client.disconnect();
    const admin = await broker.client({ username: 'admin', clientId: unique('admin') });
    for (let n = 0; n < MESSAGES; n += 2) {
      for (const topic of ['a', 'b']) await admin.publish(topic, PAYLOAD, { qos: this.#qos });
    }
    await admin.disconnect();
  }

  /** Who has the session now gets what is of `a`, and that alone. */
  async expectNarrow(broker: Broker, client: TestClient): Promise<void> {
    assert.equal(client.sessionPresent, true);
    const admin = await broker.client({ username: 'admin', clientId: unique('admin') });
    await admin.publish('a', 'end', { qos: this.#qos });
    const got = (await client.messagesUntil('end')).map(({ topic }) => topic.toString());
    assert.deepEqual(got, Array(MESSAGES / 2).fill('a'));
    await admin.disconnect();
  }
}

describe('a queue that is on disk', () => {
  for (const qos of [1, 2] as const) {
    for (const [shardIndex, what] of [
      [0, 'rules have changed'],
      [1, 'its session has moved'],
    ] as const) {
      test(`is passed over where ${what}: QoS ${qos}`, async (context) => {
        const scene = new Scene(context, qos);
        scene.rule(WIDE);
        await using broker = await scene.start();
        await scene.fill(broker);
        scene.rule(NARROW);
        await broker.server.reload();
        await scene.expectNarrow(broker, await scene.open(broker, shardIndex));
      });
    }

    test(`is passed over for another user: QoS ${qos}`, async (context) => {
      const scene = new Scene(context, qos);
      scene.rule(WIDE);
      await using broker = await scene.start();
      await scene.fill(broker);
      await scene.expectNarrow(broker, await scene.open(broker, 0, 'bob'));
    });

    for (const [rules, username] of [
      [NARROW, 'ann'],
      [WIDE, 'bob'],
    ] as const) {
      const why = rules === WIDE ? 'for another user' : 'where rules are others';
      test(`is passed over ${why} behind a start: QoS ${qos}`, async (context) => {
        const scene = new Scene(context, qos);
        scene.rule(WIDE);
        const before = await scene.start();
        await scene.fill(before);
        await before.close();
        scene.rule(rules);
        await using broker = await scene.start();
        await scene.expectNarrow(broker, await scene.open(broker, 0, username));
      });
    }
  }
});
