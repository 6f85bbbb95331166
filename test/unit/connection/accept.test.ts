/** What a host is told of a client whose CONNECT is accepted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloseReason } from '../../../src/base/errors.js';
import { TurnArena } from '../../../src/router/turn-arena.js';
import { connect } from '../../support/packets.js';
import { numberedRun } from '../sessions/frames.js';
import { LoneConnection, makeSession } from './lone-connection.js';

test('a client that is found gone as it is sent what it waited for has come, and left', () => {
  const told: string[] = [];
  const arena = new TurnArena(() => {
    arena.rewind();
    lone.connection.close(CloseReason.connectionLost);
  });
  const lone = new LoneConnection({
    arena,
    onAccepted: () => told.push('came'),
    onAttached: () => told.push('is served'),
    onClosed: () => told.push('left'),
  });
  const session = makeSession(4);
  session.enqueue(numberedRun(0, 1), 1, false);
  lone.read(connect({ clientId: 'c', cleanSession: false }));
  // There is room for CONNACK, and none for what follows before a flush.
  arena.position = arena.buffer.length - 100;
  lone.attach(session);
  assert.deepEqual(told, ['came', 'left']);
});
