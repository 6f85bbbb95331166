/** What a connection makes of answers that come when much has changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AuthenticationVerdict, Authenticator } from '../../../src/access/authenticator.js';
import type { Verdict } from '../../../src/base/credentials.js';
import { CloseReason } from '../../../src/base/errors.js';
import { connect } from '../../support/packets.js';
import { connect5, prop, reasoned5 } from '../../support/packets5.js';
import { LoneConnection } from './lone-connection.js';

/** Has the shard of a connection ask another authenticator, as a reload does. */
function reload({ connection }: LoneConnection, authenticator: Authenticator): void {
  Object.defineProperty(connection.host, 'authenticator', { value: authenticator });
}

test('a question that was under way when the authenticators changed is asked again', async () => {
  for (const [next, isIn] of [
    [false, false],
    [true, true],
  ] as const) {
    let answer = (_: Verdict): void => {};
    const former = { authenticate: () => new Promise<Verdict>((resolve) => (answer = resolve)) };
    const lone = new LoneConnection({ authenticator: former });
    lone.read(connect({ clientId: 'c', username: 'ada', password: 'x' }));
    reload(lone, { authenticate: () => next });
    answer(true);
    await nextTurn();
    assert.equal(lone.claimed !== null, isIn);
    assert.equal(lone.connection.admission?.username, isIn ? 'ada' : undefined);
    assert.equal(lone.closedFor, isIn ? null : CloseReason.connectRefused);
  }
});

test('authentication again on a connection does not make it another user', async () => {
  const [METHOD, AGAIN] = [0x15, 0x19];
  for (const [second, isClosed] of [
    ['ada', false],
    ['root', true],
  ] as const) {
    const names = ['ada', second];
    const exchange = (): AuthenticationVerdict => ({
      result: 'accept',
      admission: { username: names.shift()!, expiresAtMs: null, rules: null },
    });
    const authenticator: Authenticator = {
      authenticate: () => false,
      begin: () => ({ continue: exchange }),
    };
    const lone = new LoneConnection({ authenticator });
    const properties = prop.text(METHOD, 'm');
    lone.read(connect5({ clientId: 'c', properties }));
    await nextTurn();
    assert.equal(lone.connection.admission?.username, 'ada');
    lone.attach();
    lone.read(reasoned5(0xf0, AGAIN, properties));
    await nextTurn();
    assert.equal(lone.closedFor, isClosed ? CloseReason.authenticationFailed : null);
    assert.equal(lone.connection.admission?.username, 'ada');
  }
});

// [MQTT-3.1.2-22]
test('a client that has authenticated itself again is still to keep itself alive', async () => {
  const authenticator: Authenticator = {
    authenticate: () => false,
    begin: () => ({ continue: () => ({ result: 'accept' }) }),
  };
  const lone = new LoneConnection({ authenticator });
  const properties = prop.text(0x15, 'm');
  lone.read(connect5({ clientId: 'c', keepAlive: 10, properties }));
  await nextTurn();
  lone.attach();
  lone.read(reasoned5(0xf0, 0x19, properties));
  await nextTurn();
  lone.untilClosed(20_000);
  assert.equal(lone.closedFor, CloseReason.keepAliveTimeout);
});
