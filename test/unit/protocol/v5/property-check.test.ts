import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../../../src/base/errors.js';
import { PacketType } from '../../../../src/protocol/packet.js';
import {
  checkProperties,
  decodeProperties,
  encodeProperties,
  PROPERTIES,
  PROPERTIES_OK,
  type PropertyHolder,
  PropertyType,
  propertyError,
  Sender,
  WILL_PROPERTIES,
} from '../../../../src/protocol/v5/index.js';
import { isCarried, propertiesOf, senders } from './arbitraries.js';

const { client, server } = Sender;
const { connect, connack, publish, subscribe, disconnect, auth } = PacketType;

/** Table 2-4 of MQTT 5.0, written down once more: identifier, type, who may carry it. */
const TABLE_2_4 = `
  01 byte PUBLISH WILL
  02 fourByteInteger PUBLISH WILL
  03 utf8String PUBLISH WILL
  08 utf8String PUBLISH WILL
  09 binaryData PUBLISH WILL
  0b variableByteInteger PUBLISH SUBSCRIBE
  11 fourByteInteger CONNECT CONNACK DISCONNECT
  12 utf8String CONNACK
  13 twoByteInteger CONNACK
  15 utf8String CONNECT CONNACK AUTH
  16 binaryData CONNECT CONNACK AUTH
  17 byte CONNECT
  18 fourByteInteger WILL
  19 byte CONNECT
  1a utf8String CONNACK
  1c utf8String CONNACK DISCONNECT
  1f utf8String CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH
  21 twoByteInteger CONNECT CONNACK
  22 twoByteInteger CONNECT CONNACK
  23 twoByteInteger PUBLISH
  24 byte CONNACK
  25 byte CONNACK
  26 utf8StringPair ALL
  27 fourByteInteger CONNECT CONNACK
  28 byte CONNACK
  29 byte CONNACK
  2a byte CONNACK
`
  .trim()
  .split('\n')
  .map((line) => line.trim().split(' '));

const HOLDERS: readonly (readonly [string, PropertyHolder])[] = [
  ['WILL', WILL_PROPERTIES],
  ...Object.entries(PacketType)
    .filter(([name]) => !name.startsWith('ping'))
    .map(([name, type]) => [name.toUpperCase(), type] as const),
];

/** A value that may be, by data type. */
const VALUE: Readonly<Record<PropertyType, string>> = {
  [PropertyType.byte]: '01',
  [PropertyType.twoByteInteger]: '0102',
  [PropertyType.fourByteInteger]: '01020304',
  [PropertyType.variableByteInteger]: '8102',
  [PropertyType.binaryData]: '0002 00ff',
  [PropertyType.utf8String]: '0002 c3bc',
  [PropertyType.utf8StringPair]: '0001 61 0001 62',
};

/** The fault in a block in hex: 0 and no clause if there is none. */
function faultIn(hex: string, holder: PropertyHolder, sender: Sender): [number, string?] {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  // Bytes around the block must not be looked at.
  const padded = Buffer.concat([Buffer.from([0x26]), bytes, Buffer.from([0, 0, 0, 0, 1])]);
  const fault = checkProperties(padded, 1, 1 + bytes.length, holder, sender);
  if (fault === PROPERTIES_OK) return [0];
  const error = propertyError(fault, holder);
  assert.ok(error instanceof ProtocolError);
  assert.ok(error.message.length > 10, error.message);
  return [error.reasonCode, error.clause];
}

function idHex(id: number): string {
  return id.toString(16).padStart(2, '0');
}

/** What AUTH must have besides [3.15.2.2.2]. */
function methodFor(holder: PropertyHolder, id: number): string {
  return holder === auth && id !== 0x15 ? '15 0001 6d' : id === 0x16 ? '15 0001 6d' : '';
}

describe('the table of properties', () => {
  // Table 2-4.
  test('has the identifiers, types and packets of the specification', () => {
    const rows = PROPERTIES.map(({ id, type, holders }) => {
      const typeName = Object.entries(PropertyType).find(([, value]) => value === type)?.[0];
      const carriers = HOLDERS.filter(([, holder]) => ((holders >> holder) & 1) === 1);
      return [idHex(id), typeName, ...carriers.map(([name]) => name).sort()];
    });
    const all = HOLDERS.map(([name]) => name);
    const expected = TABLE_2_4.map(([id, type, ...names]) => [
      id,
      type,
      ...(names[0] === 'ALL' ? all : names).toSorted(),
    ]);
    assert.deepEqual(rows, expected);
  });
});

describe('checkProperties', () => {
  // [2.2.2.2] "an Identifier which is not valid for its packet type … is a Malformed Packet"
  test('allows each property in the packets of its row, and in no other', () => {
    for (const rule of PROPERTIES) {
      for (const [name, holder] of HOLDERS) {
        for (const sender of [client, server]) {
          const hex = `${idHex(rule.id)} ${VALUE[rule.type]} `;
          const [code, clause] = faultIn(hex + methodFor(holder, rule.id), holder, sender);
          const where = `${rule.name} in ${name} from ${sender}`;
          if (isCarried(rule, holder, sender)) assert.equal(code, 0, where);
          else if (((rule.holders >> holder) & 1) === 1) assert.equal(code, 0x82, where);
          else assert.deepEqual([code, clause], [0x81, '2.2.2.2'], where);
        }
      }
    }
  });

  // [2.2.2.2]
  test('refuses each unknown identifier, those of two bytes too', () => {
    const known = new Set<number>(PROPERTIES.map(({ id }) => id));
    for (let id = 0; id < 256; id++) {
      if (known.has(id)) continue;
      assert.deepEqual(faultIn(`${idHex(id)} 01 0001 61`, publish, client), [0x81, '2.2.2.2']);
    }
    assert.deepEqual(faultIn('8100 01', publish, client), [0x81, '2.2.2.2']);
  });

  // "It is a Protocol Error to include … more than once": in the section of each property.
  test('refuses each property that stands twice, where it may not', () => {
    for (const rule of PROPERTIES) {
      for (const [name, holder] of HOLDERS) {
        const sender = isCarried(rule, holder, client) ? client : server;
        if (!isCarried(rule, holder, sender)) continue;
        const one = `${idHex(rule.id)} ${VALUE[rule.type]} `;
        const method = methodFor(holder, rule.id);
        const mayRepeat = rule.id === 0x26 || (rule.id === 0x0b && holder === publish);
        const [code] = faultIn(one + method + one, holder, sender);
        assert.equal(code, mayRepeat ? 0 : 0x82, `${rule.name} in ${name}`);
      }
    }
  });

  // [2.2.2.1]
  test('refuses each property that is cut short at any byte', () => {
    for (const rule of PROPERTIES) {
      const holder = HOLDERS.find(([, one]) => ((rule.holders >> one) & 1) === 1)![1];
      const hex = `${idHex(rule.id)}${VALUE[rule.type]}`.replaceAll(' ', '');
      for (let length = 2; length < hex.length; length += 2) {
        const fault = faultIn(hex.slice(0, length), holder, server);
        assert.deepEqual(fault, [0x81, '2.2.2.1'], `${rule.name} ${hex.slice(0, length)}`);
      }
    }
  });

  test('holds each value to its range', () => {
    const cases = [
      // 3.3.2.3.2
      ['01 02', publish, client, 0x82],
      ['01 02', WILL_PROPERTIES, client, 0x82],
      ['01 00', publish, client, 0],
      // 3.3.2.3.3: nothing says that a message may not expire at once.
      ['02 00000000', publish, client, 0],
      ['02 ffffffff', publish, client, 0],
      // 3.8.2.1.2: 1 to 268,435,455, not 0.
      ['0b 00', subscribe, client, 0x82],
      ['0b 01', subscribe, client, 0],
      ['0b ffffff7f', subscribe, client, 0],
      ['0b 00', publish, server, 0x82],
      // [MQTT-1.5.5-1]
      ['0b 8000', subscribe, client, 0x81],
      ['0b 8100', subscribe, client, 0x81],
      ['0b 8080808001', subscribe, client, 0x81],
      // 3.1.2.11.2
      ['11 00000000', connect, client, 0],
      ['11 ffffffff', connect, client, 0],
      // 3.1.2.11.7, 3.1.2.11.6
      ['17 02', connect, client, 0x82],
      ['19 ff', connect, client, 0x82],
      ['17 00', connect, client, 0],
      // 3.1.2.11.3
      ['21 0000', connect, client, 0x82],
      ['21 0001', connect, client, 0],
      ['21 0000', connack, server, 0x82],
      // 3.1.2.11.4
      ['27 00000000', connect, client, 0x82],
      ['27 00000001', connect, client, 0],
      ['27 80000000', connect, client, 0],
      ['27 00000000', connack, server, 0x82],
      // 3.1.2.11.5
      ['22 0000', connect, client, 0],
      // [MQTT-3.3.2-8]
      ['23 0000', publish, client, 0x94],
      ['23 ffff', publish, client, 0],
      // 3.2.2.3.4, 3.2.2.3.5, 3.2.2.3.11 to 3.2.2.3.13
      ['24 02', connack, server, 0x82],
      ['25 02', connack, server, 0x82],
      ['28 02', connack, server, 0x82],
      ['29 02', connack, server, 0x82],
      ['2a 02', connack, server, 0x82],
    ] as const;
    for (const [hex, holder, sender, code] of cases) {
      assert.equal(faultIn(hex, holder, sender)[0], code, `${hex} in ${holder}`);
    }
  });

  // [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.7-1]
  test('holds strings to UTF-8 without surrogates and U+0000', () => {
    const cases = [
      ['03 0003 eda080', publish, 'MQTT-1.5.4-1'],
      ['03 0001 ff', publish, 'MQTT-1.5.4-1'],
      ['03 0001 00', publish, 'MQTT-1.5.4-2'],
      ['08 0003 eda080', publish, 'MQTT-1.5.4-1'],
      ['08 0002 6100', publish, 'MQTT-1.5.4-2'],
      ['26 0001 ff 0001 61', publish, 'MQTT-1.5.4-1'],
      ['26 0001 61 0001 ff', publish, 'MQTT-1.5.4-1'],
      ['26 0001 00 0001 61', publish, 'MQTT-1.5.4-2'],
      ['26 0001 61 0001 00', publish, 'MQTT-1.5.4-2'],
      ['15 0002 c080', connect, 'MQTT-1.5.4-1'],
      ['1f 0001 00', disconnect, 'MQTT-1.5.4-2'],
    ] as const;
    for (const [hex, holder, clause] of cases) {
      assert.deepEqual(faultIn(hex, holder, client), [0x81, clause], hex);
    }
    // [MQTT-1.5.4-3]; a name and a value may be empty.
    assert.deepEqual(faultIn('26 0003 efbbbf 0000 26 0000 0000', publish, client), [0]);
    // Binary Data is any bytes.
    assert.deepEqual(faultIn('09 0004 00ffeda0', publish, client), [0]);
  });

  // [MQTT-3.3.2-14] [MQTT-4.7.3-1]
  test('holds the Response Topic to what a Topic Name may be', () => {
    for (const hex of ['08 0001 2b', '08 0003 612f23', '08 0003 612b62']) {
      assert.deepEqual(faultIn(hex, publish, client), [0x82, 'MQTT-3.3.2-14'], hex);
      assert.deepEqual(faultIn(hex, WILL_PROPERTIES, client), [0x82, 'MQTT-3.3.2-14'], hex);
    }
    assert.deepEqual(faultIn('08 0000', publish, client), [0x82, 'MQTT-4.7.3-1']);
    // Other text has no such rule.
    assert.deepEqual(faultIn('03 0001 2b', publish, client), [0]);
  });

  test('knows what only one side may send', () => {
    // [MQTT-3.3.4-6]
    assert.deepEqual(faultIn('0b 01', publish, client), [0x82, 'MQTT-3.3.4-6']);
    assert.deepEqual(faultIn('0b 01 0b 02', publish, server), [0]);
    // [MQTT-3.14.2-2]
    assert.deepEqual(faultIn('11 00000001', disconnect, server), [0x82, 'MQTT-3.14.2-2']);
    assert.deepEqual(faultIn('11 00000001', disconnect, client), [0]);
    // 3.14.2.2.5 "The Server sends DISCONNECT including a Server Reference"
    assert.deepEqual(faultIn('1c 0001 61', disconnect, client), [0x82, '3.14.2.2.5']);
  });

  test('wants an Authentication Method where one is needed', () => {
    // 3.1.2.11.10
    assert.deepEqual(faultIn('16 0001 61', connect, client), [0x82, '3.1.2.11.10']);
    assert.deepEqual(faultIn('16 0001 61 15 0001 6d', connect, client), [0]);
    // 3.15.2.2.2
    assert.deepEqual(faultIn('', auth, client), [0x82, '3.15.2.2.2']);
    assert.deepEqual(faultIn('16 0001 61', auth, server), [0x82, '3.15.2.2.2']);
    assert.deepEqual(faultIn('15 0001 6d', auth, client), [0]);
  });

  test('passes all that may be, and finds nothing but faults in what was damaged', () => {
    const blocks = fc
      .tuple(fc.constantFrom(...HOLDERS.map(([, holder]) => holder)), senders)
      .chain(([holder, sender]) =>
        propertiesOf(holder, sender).map((properties) => ({ holder, sender, properties })),
      );
    const damages = fc.array(fc.tuple(fc.nat({ max: 80 }), fc.nat({ max: 255 })), { maxLength: 3 });
    fc.assert(
      fc.property(blocks, damages, ({ holder, sender, properties }, damage) => {
        const bytes = encodeProperties(properties, holder, sender);
        assert.equal(checkProperties(bytes, 0, bytes.length, holder, sender), PROPERTIES_OK);
        for (const [at, value] of damage) if (at < bytes.length) bytes[at] = value;
        const fault = checkProperties(bytes, 0, bytes.length, holder, sender);
        if (fault !== PROPERTIES_OK) {
          assert.ok(propertyError(fault, holder).message.length > 0);
          return;
        }
        // What passes can be read, and written again as it reads.
        const decoded = decodeProperties(bytes, 0, bytes.length);
        const again = encodeProperties(decoded, holder, sender);
        assert.equal(again.length, bytes.length);
        assert.deepEqual(decodeProperties(again, 0, again.length), decoded);
      }),
      { numRuns: 3_000 },
    );
  });
});
