/**
 * What a 5.0 client may not send: the code that goes out, and the close [MQTT-4.13.1-1]. Each is
 * sent whole and byte by byte.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { frame, hex } from '../support/packets.js';
import { connect5, parseSaid } from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';

const MALFORMED = 0x81;
const PROTOCOL_ERROR = 0x82;

/** Name, the clause broken, first byte and body of the packet, the code that goes out. */
type Row = readonly [name: string, clause: string, header: number, body: string, code: number];

/** `MQTT`, level, connect flags, keep alive. */
const head = (flags: string) => `0004 4d515454 05 ${flags} 0000`;
const CLIENT_ID = '0001 63';

const CONNECTS: readonly Row[] = [
  ['flags in the first byte', 'MQTT-2.1.3-1', 0x11, `${head('02')} 00 ${CLIENT_ID}`, MALFORMED],
  ['the reserved connect flag', 'MQTT-3.1.2-3', 0x10, `${head('03')} 00 ${CLIENT_ID}`, MALFORMED],
  ['a will QoS without a will', 'MQTT-3.1.2-11', 0x10, `${head('0a')} 00 ${CLIENT_ID}`, MALFORMED],
  ['will QoS 3', 'MQTT-3.1.2-12', 0x10, `${head('1e')} 00 ${CLIENT_ID} 00 0001 61 0000`, MALFORMED],
  ['a will that is missing', 'MQTT-3.1.3-1', 0x10, `${head('06')} 00 ${CLIENT_ID}`, MALFORMED],
  ['no properties', 'MQTT-2.2.2-1', 0x10, head('02'), MALFORMED],
  [
    'bytes behind the last field',
    'MQTT-3.1.3-1',
    0x10,
    `${head('02')} 00 ${CLIENT_ID} 00`,
    MALFORMED,
  ],
  ['a client id that is not UTF-8', 'MQTT-1.5.4-1', 0x10, `${head('02')} 00 0001 ff`, MALFORMED],
  ['U+0000 in the client id', 'MQTT-1.5.4-2', 0x10, `${head('02')} 00 0001 00`, MALFORMED],
  ['half a surrogate pair', 'MQTT-1.5.4-1', 0x10, `${head('02')} 00 0003 eda080`, MALFORMED],
  [
    'a property twice',
    '3.1.2.11.2',
    0x10,
    `${head('02')} 0a 11 00000001 11 00000001 ${CLIENT_ID}`,
    PROTOCOL_ERROR,
  ],
  ['a property of PUBLISH', '2.2.2.2', 0x10, `${head('02')} 03 23 0001 ${CLIENT_ID}`, MALFORMED],
  ['an unknown property', '2.2.2.2', 0x10, `${head('02')} 02 7f 00 ${CLIENT_ID}`, MALFORMED],
  [
    'Receive Maximum 0',
    '3.1.2.11.3',
    0x10,
    `${head('02')} 03 21 0000 ${CLIENT_ID}`,
    PROTOCOL_ERROR,
  ],
  [
    'Maximum Packet Size 0',
    '3.1.2.11.4',
    0x10,
    `${head('02')} 05 27 00000000 ${CLIENT_ID}`,
    PROTOCOL_ERROR,
  ],
  [
    'Request Problem Information 2',
    '3.1.2.11.7',
    0x10,
    `${head('02')} 02 17 02 ${CLIENT_ID}`,
    PROTOCOL_ERROR,
  ],
  [
    'Authentication Data without a method',
    '3.1.2.11.10',
    0x10,
    `${head('02')} 04 16 0001 61 ${CLIENT_ID}`,
    PROTOCOL_ERROR,
  ],
];

const LATER: readonly Row[] = [
  ['packet type 0', '2.1.2', 0x00, '', MALFORMED],
  ['a second CONNECT', 'MQTT-3.1.0-2', 0x10, `${head('02')} 00 ${CLIENT_ID}`, PROTOCOL_ERROR],
  ['CONNACK', '2.1.2', 0x20, '00 00 00', PROTOCOL_ERROR],
  ['SUBACK', '2.1.2', 0x90, '0001 00 00', PROTOCOL_ERROR],
  ['PINGRESP', '2.1.2', 0xd0, '', PROTOCOL_ERROR],
  ['flags on SUBSCRIBE', 'MQTT-3.8.1-1', 0x80, '0001 00 0001 61 00', MALFORMED],
  ['SUBSCRIBE with packet id 0', 'MQTT-2.2.1-3', 0x82, '0000 00 0001 61 00', PROTOCOL_ERROR],
  ['SUBSCRIBE without a filter', 'MQTT-3.8.3-2', 0x82, '0001 00', PROTOCOL_ERROR],
  ['reserved options', 'MQTT-3.8.3-5', 0x82, '0001 00 0001 61 40', MALFORMED],
  ['QoS 3 wanted', '3.8.3.1', 0x82, '0001 00 0001 61 03', PROTOCOL_ERROR],
  ['Retain Handling 3', '3.8.3.1', 0x82, '0001 00 0001 61 30', PROTOCOL_ERROR],
  [
    'No Local on a Shared Subscription',
    'MQTT-3.8.3-4',
    0x82,
    '0001 00 000a 2473686172652f672f61 04',
    PROTOCOL_ERROR,
  ],
  ['Subscription Identifier 0', '3.8.2.1.2', 0x82, '0001 02 0b00 0001 61 00', PROTOCOL_ERROR],
  ['two of them', '3.8.2.1.2', 0x82, '0001 04 0b010b02 0001 61 00', PROTOCOL_ERROR],
  ['a filter cut short', 'MQTT-3.8.3-1', 0x82, '0001 00 0005 61', MALFORMED],
  ['UNSUBSCRIBE without a filter', 'MQTT-3.10.3-2', 0xa2, '0001 00', PROTOCOL_ERROR],
  ['an empty filter', 'MQTT-4.7.3-1', 0xa2, '0001 00 0000', PROTOCOL_ERROR],
  ['PUBACK with a code that it has not', 'MQTT-3.4.2-1', 0x40, '0001 01', PROTOCOL_ERROR],
  ['PUBACK with packet id 0', 'MQTT-2.2.1-3', 0x40, '0000', PROTOCOL_ERROR],
  ['flags on PUBREL', 'MQTT-3.6.1-1', 0x60, '0001', MALFORMED],
  ['PINGREQ with a body', '3.12.1', 0xc0, '00', MALFORMED],
  ['flags on DISCONNECT', 'MQTT-3.14.1-1', 0xe1, '', MALFORMED],
  ['DISCONNECT with a code of the server', 'MQTT-3.14.2-1', 0xe0, '8b', PROTOCOL_ERROR],
  ['DISCONNECT with Server Reference', '3.14.2.2.5', 0xe0, '00 04 1c 0001 61', PROTOCOL_ERROR],
  ['AUTH, which nothing has asked for', '4.12', 0xf0, '18 04 15 0001 61', PROTOCOL_ERROR],
  ['AUTH without a method', '3.15.2.2.2', 0xf0, '18 00', PROTOCOL_ERROR],
  ['PUBLISH of QoS 3', 'MQTT-3.3.1-4', 0x36, '0001 61 0001 00', MALFORMED],
  ['PUBLISH with a wildcard', 'MQTT-3.3.2-2', 0x30, '0001 23 00', PROTOCOL_ERROR],
  ['PUBLISH without topic and alias', '3.3.2.1', 0x30, '0000 00', PROTOCOL_ERROR],
  ['PUBLISH with an alias 0', 'MQTT-3.3.2-8', 0x30, '0001 61 03 230000', 0x94],
  ['PUBLISH with an alias too high', 'MQTT-3.3.2-9', 0x30, '0001 61 03 23ffff', 0x94],
  ['PUBLISH with an alias that is unknown', '3.3.2.3.4', 0x30, '0000 03 230001', PROTOCOL_ERROR],
  ['PUBLISH with Subscription Identifier', 'MQTT-3.3.4-6', 0x30, '0001 61 02 0b01', PROTOCOL_ERROR],
];

describe('a 5.0 client is closed for', () => {
  let broker: Broker;
  before(async () => {
    broker = await startBroker({ workers: 1 });
  });
  after(() => broker.close());

  async function expectCode(client: RawClient, type: number, row: Row): Promise<void> {
    const said = parseSaid(await client.readPacket(`the answer to ${row[0]}`));
    const codes = [said.type, said.code.toString(16)];
    assert.deepEqual(codes, [type, row[4].toString(16)], String(said.properties.get(0x1f)));
    await client.expectClose();
  }

  function packetOf([, , header, body]: Row): Buffer {
    return frame(header, hex(body));
  }

  for (const isCut of [false, true]) {
    const how = isCut ? ', byte by byte' : '';
    for (const row of CONNECTS) {
      test(`CONNECT with ${row[0]}${how} [${row[1]}]`, async () => {
        const client = await broker.raw();
        if (isCut) await client.sendInPieces(packetOf(row));
        else client.send(packetOf(row));
        await expectCode(client, 2, row);
      });
    }
    for (const row of LATER) {
      test(`${row[0]}${how} [${row[1]}]`, async () => {
        const client = await broker.raw();
        client.send(connect5({ clientId: unique('bad') }));
        await client.readPacket('CONNACK');
        if (isCut) await client.sendInPieces(packetOf(row));
        else client.send(packetOf(row));
        await expectCode(client, 14, row);
      });
    }
  }
});
