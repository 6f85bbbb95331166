/** Which clients lose messages, by a clock of the test's. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import {
  CLIENT_DROPS_LOG_INTERVAL_MS,
  CLIENT_DROPS_MAX,
} from '../../../src/base/slow-reader-limits.js';
import { ClientDrops } from '../../../src/router/client-drops.js';
import type { Session } from '../../../src/sessions/session.js';

describe('clients that lose messages', () => {
  let drops: ClientDrops;
  let said: string[];

  beforeEach(() => {
    drops = new ClientDrops();
    said = [];
  });

  function client(clientId: string): Session {
    return { clientId } as Session;
  }

  function tell(now: number): string[] {
    said = [];
    drops.tell(now, (clientId, dropped) => said.push(`${clientId}:${dropped}`));
    return said;
  }

  test('are told of at once, with all that was dropped, and then once in an interval', () => {
    const [a, b] = [client('a'), client('b')];
    drops.note(a, 2);
    drops.note(a, 3);
    assert.deepEqual(tell(0), ['a:5']);
    drops.note(a, 1);
    drops.note(b, 7);
    assert.deepEqual(tell(1_000), ['b:7']);
    assert.deepEqual(tell(CLIENT_DROPS_LOG_INTERVAL_MS), ['a:1']);
    assert.deepEqual(tell(3 * CLIENT_DROPS_LOG_INTERVAL_MS), []);
    drops.note(a, 1);
    assert.deepEqual(tell(3 * CLIENT_DROPS_LOG_INTERVAL_MS + 1), ['a:1']);
  });

  test('are remembered up to a bound, and forgotten when they lose no more', () => {
    for (let n = 0; n < CLIENT_DROPS_MAX + 5; n++) drops.note(client(`${n}`), 1);
    assert.equal(tell(0).length, CLIENT_DROPS_MAX);
    tell(CLIENT_DROPS_LOG_INTERVAL_MS);
    drops.note(client('late'), 1);
    assert.deepEqual(tell(CLIENT_DROPS_LOG_INTERVAL_MS), ['late:1']);
  });
});
