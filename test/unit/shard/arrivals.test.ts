/** Records of a hand-over that cannot be read: each costs what it said, not the session. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RecordError } from '../../../src/base/errors.js';
import { ConnectionState } from '../../../src/connection/connection.js';
import { RecordKind } from '../../../src/router/records.js';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import type { Session } from '../../../src/sessions/session.js';
import { createTopicsProvider, type TopicsProvider } from '../../../src/topics/provider.js';
import { ModelNet } from './model-net.js';

type Topics = TopicsProvider<Session, RetainedMessage>;

/** Two shards; the client is connected to shard 0, and nothing is under way. */
async function makeNet(): Promise<ModelNet> {
  const topics: Topics[] = [await createTopicsProvider('mem'), await createTopicsProvider('mem')];
  const net = new ModelNet(2, () => topics.pop()!);
  net.connect(net.shards[0]!);
  net.settle();
  net.client.isLossAllowed = true;
  return net;
}

/** Lets all happen, every record of `kind` being damaged on its way. @returns how many were. */
function settleDamaging(net: ModelNet, kind: number): number {
  const seen = new Set<object>();
  let unreadable = 0;
  for (let steps = net.steps(); steps.length > 0; steps = net.steps()) {
    for (const shard of net.shards) {
      for (const queue of shard!.inbox) {
        const at = queue?.findIndex((each) => each.kind === kind && !seen.has(each)) ?? -1;
        if (queue == null || at < 0) continue;
        const { body } = queue[at];
        queue[at] = { ...queue[at], body: body.subarray(0, body.length - 1) };
        seen.add(queue[at]);
      }
    }
    try {
      steps[0]();
    } catch (error) {
      assert.ok(error instanceof RecordError, String(error));
      unreadable++;
    }
  }
  return unreadable;
}

describe('a hand-over with records that cannot be read', () => {
  for (const name of ['handoverFilters', 'handoverHead', 'handoverRun'] as const) {
    for (const isSent of [true, false]) {
      const what = isSent ? 'sent and not acknowledged' : 'queued';
      test(`${name}, messages ${what}: the session comes all the same`, async () => {
        const net = await makeNet();
        if (!isSent) net.client.connection!.close();
        net.publish(net.shards[1]!, 3);
        net.settle();
        if (isSent) net.client.connection!.close();
        // What it had got comes anew where nothing says that it was sent.
        if (name !== 'handoverFilters') {
          net.client.unacknowledged.clear();
          net.client.expected.fill(0);
        }
        const connection = net.connect(net.shards[1]!);
        assert.ok(settleDamaging(net, RecordKind[name]) > 0);
        assert.equal(connection.state, ConnectionState.open);
      });
    }
  }
});
