/** Replies of a connection, while SUBACKs wait for the other shards. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { UNREAD_REPLY_BYTES_MAX } from '../../../src/base/limits.js';
import { ConnectionState, Pause } from '../../../src/connection/connection.js';
import { DISCONNECT, PINGREQ, packetEnd, subscribe, unsubscribe } from '../../support/packets.js';
import { LoneConnection } from './lone-connection.js';

describe('replies while a SUBACK is owed', () => {
  let lone: LoneConnection;
  let confirmations: (() => void)[];

  beforeEach(() => {
    confirmations = [];
    lone = new LoneConnection({
      subscribe: (_, __, ___, confirmed) => void confirmations.push(confirmed),
    });
    lone.open();
    sent();
  });

  /** First bytes of the packets sent since the last call. */
  function sent(): string[] {
    const { connection, socket } = lone;
    connection.outbox.flush(connection.host.arena.buffer);
    connection.host.arena.rewind();
    let rest = socket.written;
    socket.written = Buffer.alloc(0);
    const kinds: string[] = [];
    for (let end = packetEnd(rest); end !== undefined; end = packetEnd(rest)) {
      kinds.push(rest.subarray(0, 1).toString('hex'));
      rest = rest.subarray(end);
    }
    return kinds;
  }

  test('leave in the order of the requests, whichever SUBACK is confirmed first', () => {
    lone.read(Buffer.concat([subscribe(1, ['a', 0]), PINGREQ, subscribe(2, ['b', 0])]));
    lone.read(Buffer.concat([unsubscribe(3, 'a'), PINGREQ]));
    assert.deepEqual(sent(), []);
    confirmations[1]!();
    assert.deepEqual(sent(), []);
    confirmations[0]!();
    assert.deepEqual(sent(), ['90', 'd0', '90', 'b0', 'd0']);
    assert.equal(lone.connection.replies, null);
    lone.read(PINGREQ);
    assert.deepEqual(sent(), ['d0']);
  });

  test('are bounded: the client is not read from until they have gone', () => {
    lone.read(subscribe(1, ['a', 0]));
    const many = Buffer.alloc(UNREAD_REPLY_BYTES_MAX / 2, PINGREQ);
    lone.read(many);
    assert.equal(lone.connection.pauses & Pause.subackOwed, 0);
    lone.read(many);
    assert.equal(lone.connection.pauses & Pause.subackOwed, Pause.subackOwed);
    confirmations[0]!();
    assert.equal(lone.connection.pauses, 0);
  });

  test('all come before the end that a DISCONNECT asks for', () => {
    lone.read(Buffer.concat([subscribe(1, ['a', 0]), PINGREQ, DISCONNECT]));
    assert.equal(lone.connection.state, ConnectionState.leaving);
    confirmations[0]!();
    assert.equal(lone.connection.isClosed, true);
    assert.deepEqual(sent(), ['90', 'd0']);
  });
});
