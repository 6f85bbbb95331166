import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Connection, ConnectionState } from '../../../src/connection/connection.js';
import { mayBeForNewcomer } from '../../../src/connection/for-newcomer.js';
import type { ConnectionHost } from '../../../src/connection/host.js';
import { Route } from '../../../src/router/route.js';
import { connect, PINGREQ, puback, publish } from '../../support/packets.js';
import { LoneConnection } from './lone-connection.js';

/** To `topic`, with a subscriber on another shard or nowhere. */
function routeOf(topic: string, isSubscribed: boolean): Route {
  const route = new Route(topic, 0);
  route.shardMask = isSubscribed ? 0b10 : 0;
  return route;
}

/** A connection that has published to `last`, and to `recent` before. */
function connectionWith(last: Route | null, recent: Route[] = []): Connection {
  const connection: Partial<Connection> = {
    state: ConnectionState.open,
    lastRoute: last,
    findRecentRoute: (buffer, start, length) =>
      recent.find((route) => route.isTopic(buffer, start, length)) ?? null,
  };
  return connection as Connection;
}

function isFor(connection: Connection, ...packets: Buffer[]): boolean {
  const read = Buffer.concat(packets);
  // What was read before lies behind it still.
  const buffer = Buffer.concat([Buffer.alloc(3), read, Buffer.alloc(300, 0xff)]);
  return mayBeForNewcomer(connection, buffer, 3, 3 + read.length);
}

const message = publish({ topic: 'a/b', payload: 'x', qos: 1, packetId: 1 });

describe('a message may be for a client that is just subscribing', () => {
  it('when its topic is new to the connection', () => {
    assert.equal(isFor(connectionWith(null), message), true);
    assert.equal(isFor(connectionWith(routeOf('a/c', true)), message), true);
  });

  it('when nobody is subscribed to it', () => {
    assert.equal(isFor(connectionWith(routeOf('a/b', false)), message), true);
    const connection = connectionWith(routeOf('a/c', true), [routeOf('a/b', false)]);
    assert.equal(isFor(connection, message), true);
  });

  it('behind acks and PINGREQ, but not far behind', () => {
    const connection = connectionWith(null);
    assert.equal(isFor(connection, puback(1), PINGREQ, puback(2), message), true);
    assert.equal(isFor(connection, PINGREQ, PINGREQ, PINGREQ, PINGREQ, message), false);
  });

  it('not when the connection publishes to its subscribers already', () => {
    assert.equal(isFor(connectionWith(routeOf('a/b', true)), message), false);
    const connection = connectionWith(routeOf('a/c', true), [routeOf('a/b', true)]);
    assert.equal(isFor(connection, message), false);
  });

  it('not when it is none', () => {
    assert.equal(isFor(connectionWith(null), puback(1)), false);
    assert.equal(isFor(connectionWith(null)), false);
    const connecting = { ...connectionWith(null), state: ConnectionState.awaitConnect };
    assert.equal(isFor(connecting as Connection, connect(), message), false);
  });

  it('not when its topic has not come yet', () => {
    for (let length = 1; length < 2 + 2 + 3; length++) {
      assert.equal(isFor(connectionWith(null), message.subarray(0, length)), false);
    }
    assert.equal(isFor(connectionWith(null), message.subarray(0, 2 + 2 + 3)), true);
  });
});

describe('a read of a shard that has just woken', () => {
  /** What happens with it, in order. */
  function read(hasWoken: boolean, packet: Buffer): string[] {
    const said: string[] = [];
    const host = {
      turn: {
        mayCatchUp: true,
        onRead: () => hasWoken,
        awaitOthers: () => said.push('await'),
        catchUp: () => said.push('catch up') > 0,
      },
      routes: { findWithin: () => routeOf('a/b', true), isFresh: () => true, takeWork: () => 0 },
      router: { hasRoomFor: () => true, publish: () => said.push('route') },
      durable: null,
    };
    const lone = new LoneConnection(host as unknown as Partial<ConnectionHost>);
    lone.open();
    said.length = 0;
    lone.read(packet);
    return said;
  }

  it('waits for others before it catches up with them, and then is handled', () => {
    assert.deepEqual(read(true, message), ['await', 'catch up', 'route']);
  });

  it('waits for nobody when it brings nothing for newcomers', () => {
    assert.deepEqual(read(true, PINGREQ), ['catch up']);
  });

  it('waits for nobody when the shard was awake', () => {
    assert.deepEqual(read(false, message), ['catch up', 'route']);
  });
});
