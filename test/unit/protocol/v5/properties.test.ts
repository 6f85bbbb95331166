import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ArgumentError } from '../../../../src/base/errors.js';
import { PacketType } from '../../../../src/protocol/packet.js';
import {
  decodeProperties,
  encodeProperties,
  findField,
  findProperty,
  isPayloadText,
  messageExpiryIn,
  NO_PROPERTIES,
  NOT_THERE,
  type Properties,
  PropertyId,
  Sender,
  subscriptionIdentifierIn,
  topicAliasIn,
  uint16At,
  WILL_PROPERTIES,
} from '../../../../src/protocol/v5/index.js';
import { propertiesOf } from './arbitraries.js';

const { client, server } = Sender;
const { publish, subscribe, connect, connack, disconnect } = PacketType;

function encode(properties: object, holder: PacketType | 0 = publish, sender: Sender = client) {
  return encodeProperties(properties as Properties, holder, sender);
}

describe('encodeProperties and decodeProperties', () => {
  test('write the bytes of the specification, in the order of identifiers', () => {
    const bytes = encode({
      userProperties: [
        ['b', '2'],
        ['a', '1'],
        ['b', ''],
      ],
      topicAlias: 0x1234,
      correlationData: Buffer.from('00ff', 'hex'),
      responseTopic: 'r',
      contentType: 'ü',
      messageExpiryInterval: 4_294_967_295,
      payloadFormatIndicator: 1,
    });
    assert.equal(
      bytes.toString('hex'),
      '0101 02ffffffff 030002c3bc 08000172 0900 0200ff 231234'
        .concat('26000162000132 26000161000131 260001620000')
        .replaceAll(' ', ''),
    );
  });

  test('read each type of value as what it is', () => {
    const hex = '17001901 2100ff 27ffffffff 220000 150001 6d 160002 00ff 11fffffffe 26 0000 0000';
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    assert.deepEqual(decodeProperties(bytes, 0, bytes.length), {
      requestProblemInformation: false,
      requestResponseInformation: true,
      receiveMaximum: 255,
      maximumPacketSize: 4_294_967_295,
      topicAliasMaximum: 0,
      authenticationMethod: 'm',
      authenticationData: Buffer.from('00ff', 'hex'),
      sessionExpiryInterval: 4_294_967_294,
      userProperties: [['', '']],
    });
    assert.equal(decodeProperties(bytes, 0, 0), NO_PROPERTIES);
  });

  // [MQTT-3.3.2-18] [MQTT-3.1.3-10]
  test('keep User Properties and Subscription Identifiers in their order', () => {
    const hex = '0b02 26000161000131 0b01 26000161000130 0b808001';
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    assert.deepEqual(decodeProperties(bytes, 0, bytes.length), {
      subscriptionIdentifiers: [2, 1, 16_384],
      userProperties: [
        ['a', '1'],
        ['a', '0'],
      ],
    });
  });

  test('leave out what is undefined', () => {
    assert.equal(encode({ contentType: undefined, userProperties: undefined }).length, 0);
    assert.equal(
      encode({ userProperties: [], subscriptionIdentifiers: [] }, publish, server).length,
      0,
    );
  });

  test('name the property whose value may not be', () => {
    const cases = [
      [
        { payloadFormatIndicator: 2 },
        publish,
        /^Payload Format Indicator \(payload.*0 to 1, not 2/,
      ],
      [{ payloadFormatIndicator: true }, publish, /^Payload Format Indicator .* not true$/],
      [
        { messageExpiryInterval: -1 },
        publish,
        /^Message Expiry Interval .*0 to 4294967295, not -1/,
      ],
      [{ messageExpiryInterval: 4_294_967_296 }, publish, /^Message Expiry Interval/],
      [{ messageExpiryInterval: 1.5 }, publish, /^Message Expiry Interval/],
      [{ messageExpiryInterval: '1' }, publish, /^Message Expiry Interval .* not '1'$/],
      [{ topicAlias: 0 }, publish, /^Topic Alias .* 1 to 65535, not 0$/],
      [{ topicAlias: 65_536 }, publish, /^Topic Alias/],
      [{ contentType: 5 }, publish, /^Content Type .* a string, not 5$/],
      [{ contentType: 'a\0' }, publish, /^Content Type .* U\+0000/],
      [{ contentType: '\ud800' }, publish, /^Content Type .* surrogate/],
      [{ contentType: 'x'.repeat(65_536) }, publish, /^Content Type .* 65,535 bytes.* 65536$/],
      [{ responseTopic: '' }, publish, /^Response Topic .* topic without wildcards/],
      [
        { responseTopic: 'a/+' },
        publish,
        /^Response Topic .* topic without wildcards, not 'a\/\+'/,
      ],
      [{ correlationData: 'text' }, publish, /^Correlation Data .* a Buffer, not 'text'$/],
      [{ correlationData: Buffer.alloc(65_536) }, publish, /^Correlation Data .* 65536$/],
      [{ userProperties: { a: 'b' } }, publish, /^User Property .* list of pairs/],
      [{ userProperties: [['a']] }, publish, /^User Property .* a pair of strings/],
      [{ userProperties: [['a', 1]] }, publish, /^User Property .* a string, not 1$/],
      [{ userProperties: [['a\0', 'b']] }, publish, /^User Property/],
      [{ subscriptionIdentifiers: [0] }, subscribe, /^Subscription Identifier .* not 0$/],
      [{ subscriptionIdentifiers: [268_435_456] }, subscribe, /^Subscription Identifier/],
      [{ subscriptionIdentifiers: [1, 2] }, subscribe, /^Subscription Identifier .* a list of one/],
      [{ subscriptionIdentifiers: 1 }, subscribe, /^Subscription Identifier .* list of numbers/],
      [{ subscriptionIdentifiers: [1] }, publish, /^Subscription Identifier .*no client sends/],
      [{ receiveMaximum: 0 }, connect, /^Receive Maximum/],
      [{ maximumPacketSize: 0 }, connect, /^Maximum Packet Size/],
      [{ requestProblemInformation: 1 }, connect, /^Request Problem Information .* true or false/],
      [{ authenticationData: Buffer.alloc(1) }, connect, /^Authentication Data without/],
      [{ serverReference: 'a' }, disconnect, /^Server Reference .*no client sends it/],
      [
        { sessionExpiryInterval: 1 },
        publish,
        /^Session Expiry Interval .* not allowed in PUBLISH$/,
      ],
      [{ willDelayInterval: 1 }, connect, /^Will Delay Interval .* not allowed in CONNECT$/],
      [{ topicAlias: 1 }, WILL_PROPERTIES, /^Topic Alias .* not allowed in Will Properties$/],
      [{ maximumQos: 2 }, connack, /^Maximum QoS .* not allowed|^Maximum QoS .*0 to 1/],
      [{ messageExpiry: 1 }, publish, /^'messageExpiry' is no MQTT property$/],
      [{ toString: 1 }, publish, /^'toString' is no MQTT property$/],
    ] as const;
    for (const [properties, holder, message] of cases) {
      const sender = holder === connack ? server : client;
      assert.throws(
        () => encode(properties, holder, sender),
        (error) => {
          assert.ok(error instanceof ArgumentError && error instanceof TypeError);
          assert.match(error.message, message);
          return true;
        },
      );
    }
  });
});

describe('the search for one property', () => {
  test('finds what decoding finds', () => {
    const fromServer = propertiesOf(publish, server);
    fc.assert(
      fc.property(fromServer, (properties) => {
        const block = encodeProperties(properties, publish, server);
        const bytes = Buffer.concat([Buffer.from([0x23]), block, Buffer.from([0x23, 0, 1])]);
        const [start, end] = [1, 1 + block.length];
        assert.equal(topicAliasIn(bytes, start, end), properties.topicAlias ?? 0);
        assert.equal(
          messageExpiryIn(bytes, start, end),
          properties.messageExpiryInterval ?? NOT_THERE,
        );
        assert.equal(isPayloadText(bytes, start, end), properties.payloadFormatIndicator === 1);
        assert.equal(
          subscriptionIdentifierIn(bytes, start, end),
          properties.subscriptionIdentifiers?.[0] ?? 0,
        );
        for (const key of ['contentType', 'responseTopic', 'correlationData'] as const) {
          const at = findField(bytes, start, end, key);
          const value = properties[key];
          if (value === undefined) {
            assert.equal(at, NOT_THERE);
          } else {
            const content = bytes.subarray(at + 2, at + 2 + uint16At(bytes, at));
            assert.deepEqual(Buffer.from(content), Buffer.from(value as Buffer));
          }
        }
        assert.equal(findProperty(bytes, start, end, PropertyId.reasonString), NOT_THERE);
      }),
      { numRuns: 500 },
    );
  });
});
