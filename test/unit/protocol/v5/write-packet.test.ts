import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ArgumentError, ProtocolError } from '../../../../src/base/errors.js';
import { REMAINING_LENGTH_MAX } from '../../../../src/base/limits.js';
import { type ControlPacket5, encodePacket5, Sender } from '../../../../src/protocol/v5/index.js';

const { client, server } = Sender;
const LONG = 'x'.repeat(65_536);
const properties = {};

const CONNECT = {
  type: 'connect',
  protocolVersion: 5,
  clientId: 'id',
  cleanStart: true,
  keepAliveSeconds: 60,
  will: null,
  username: null,
  password: null,
  properties,
};
const WILL = { topic: 'w', payload: Buffer.alloc(0), qos: 0, retain: false, properties };
const PUBLISH = {
  type: 'publish',
  topic: 't',
  payload: Buffer.alloc(0),
  qos: 0,
  retain: false,
  dup: false,
  packetId: 0,
  properties,
};
const SUBSCRIPTION = {
  filter: 'f',
  qos: 0,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
};

function subscribe(subscription: object): object {
  const subscriptions = [{ ...SUBSCRIPTION, ...subscription }];
  return { type: 'subscribe', packetId: 1, subscriptions, properties };
}

describe('encodePacket5', () => {
  test('makes no packet that may not be', () => {
    const cases: readonly (readonly [object, Sender, string])[] = [
      [{ ...CONNECT, keepAliveSeconds: 65_536 }, client, '3.1.2.10'],
      [{ ...CONNECT, keepAliveSeconds: -1 }, client, '3.1.2.10'],
      [{ ...CONNECT, keepAliveSeconds: 0.5 }, client, '3.1.2.10'],
      [{ ...CONNECT, clientId: LONG }, client, '1.5.4'],
      [{ ...CONNECT, clientId: '\ud800' }, client, 'MQTT-1.5.4-1'],
      [{ ...CONNECT, clientId: 'a\0' }, client, 'MQTT-1.5.4-2'],
      [{ ...CONNECT, username: '\udc00a' }, client, 'MQTT-1.5.4-1'],
      [{ ...CONNECT, password: Buffer.alloc(65_536) }, client, '1.5.4'],
      [{ ...CONNECT, will: { ...WILL, topic: '' } }, client, 'MQTT-4.7.3-1'],
      [{ ...CONNECT, will: { ...WILL, topic: 'a/#' } }, client, 'MQTT-4.7.0-1'],
      [{ ...CONNECT, will: { ...WILL, qos: 3 } }, client, '4.3'],
      [{ ...CONNECT, will: { ...WILL, payload: Buffer.alloc(65_536) } }, client, '1.5.4'],
      [{ ...PUBLISH, topic: '' }, client, '3.3.2.1'],
      [{ ...PUBLISH, topic: 'a/+' }, client, 'MQTT-3.3.2-2'],
      [{ ...PUBLISH, topic: LONG }, client, '1.5.4'],
      [{ ...PUBLISH, topic: '\ud800' }, client, 'MQTT-1.5.4-1'],
      [{ ...PUBLISH, qos: 1, packetId: 0 }, client, 'MQTT-2.2.1-3'],
      [{ ...PUBLISH, qos: 1, packetId: 65_536 }, client, 'MQTT-2.2.1-3'],
      [{ ...PUBLISH, qos: 8 }, client, '4.3'],
      [{ ...PUBLISH, dup: true }, client, 'MQTT-3.3.1-2'],
      [{ type: 'puback', packetId: 1, reasonCode: 256, properties }, client, '1.5.1'],
      [{ type: 'puback', packetId: 1, reasonCode: 1, properties }, client, 'MQTT-3.4.2-1'],
      [{ type: 'pubrel', packetId: 1.5, reasonCode: 0, properties }, client, 'MQTT-2.2.1-3'],
      [subscribe({ filter: '' }), client, 'MQTT-4.7.3-1'],
      [subscribe({ qos: 3 }), client, '4.3'],
      [subscribe({ qos: 4 }), client, '4.3'],
      [subscribe({ retainHandling: 3 }), client, '3.8.3.1'],
      [subscribe({ retainHandling: 4 }), client, '3.8.3.1'],
      [subscribe({ filter: '$share/g/a', noLocal: true }), client, 'MQTT-3.8.3-4'],
      [{ ...subscribe({}), subscriptions: [] }, client, 'MQTT-3.8.3-2'],
      [{ type: 'unsubscribe', packetId: 1, filters: [], properties }, client, 'MQTT-3.10.3-2'],
      [{ type: 'suback', packetId: 1, reasonCodes: [], properties }, server, 'MQTT-3.9.3-2'],
      [{ type: 'unsuback', packetId: 1, reasonCodes: [1], properties }, server, 'MQTT-3.11.3-2'],
      [
        { type: 'connack', sessionPresent: true, reasonCode: 0x80, properties },
        server,
        'MQTT-3.2.2-6',
      ],
      [{ type: 'disconnect', reasonCode: 0x8e, properties }, client, 'MQTT-3.14.2-1'],
      [{ type: 'auth', reasonCode: 0, properties }, client, 'MQTT-3.15.2-1'],
    ];
    for (const [packet, sender, clause] of cases) {
      assert.throws(
        () => encodePacket5(packet as ControlPacket5, sender),
        (error) => error instanceof ProtocolError && error.clause === clause,
        `${JSON.stringify(packet).slice(0, 120)}: ${clause}`,
      );
    }
  });

  test('names the property that may not be', () => {
    const cases = [
      [{ ...CONNECT, properties: { receiveMaximum: 0 } }, /^Receive Maximum/],
      [{ ...CONNECT, will: { ...WILL, properties: { topicAlias: 1 } } }, /^Topic Alias/],
      [{ ...PUBLISH, properties: { subscriptionIdentifiers: [1] } }, /^Subscription Identifier/],
      [{ type: 'auth', reasonCode: 0x18, properties }, /Authentication Method/],
    ] as const;
    for (const [packet, message] of cases) {
      assert.throws(
        () => encodePacket5(packet as unknown as ControlPacket5, client),
        (error) => error instanceof ArgumentError && message.test(error.message),
      );
    }
  });

  // 2.1.4
  test('makes no packet longer than a remaining length can say', () => {
    // Neither written to nor copied, so that it takes no memory.
    const payload = Buffer.alloc(REMAINING_LENGTH_MAX - 3);
    assert.throws(
      () => encodePacket5({ ...PUBLISH, payload } as ControlPacket5, client),
      (error) => error instanceof ProtocolError && error.clause === '2.1.4',
    );
  });
});
