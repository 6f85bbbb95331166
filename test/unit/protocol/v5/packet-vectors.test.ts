/** Byte vectors of every packet of MQTT 5.0, and of every rule that one packet can break. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CloseReason, ProtocolError } from '../../../../src/base/errors.js';
import {
  type ControlPacket5,
  encodePacket5,
  parsePacket5,
  Sender,
} from '../../../../src/protocol/v5/index.js';

const { client, server } = Sender;

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

/** A frame with its remaining length put in. */
function frame(header: string, body: string): string {
  const length = bytesOf(body).length;
  assert.ok(length < 128);
  return `${header} ${length.toString(16).padStart(2, '0')} ${body}`;
}

/** Properties with their Property Length. */
function block(properties: string): string {
  const length = bytesOf(properties).length;
  assert.ok(length < 128);
  return `${length.toString(16).padStart(2, '0')} ${properties}`;
}

function parse(hex: string, sender: Sender): ControlPacket5 {
  const bytes = bytesOf(hex);
  return parsePacket5(bytes, 0, bytes.length, sender);
}

/** Whoever sends these, they are to be refused so. */
type Refusal = readonly [
  name: string,
  hex: string,
  sender: Sender,
  clause: string,
  reasonCode: number,
];

function refuses(rows: readonly Refusal[]): void {
  for (const [name, hex, sender, clause, reasonCode] of rows) {
    let error: unknown = null;
    try {
      parse(hex, sender);
    } catch (thrown) {
      error = thrown;
    }
    assert.ok(error instanceof ProtocolError, `${name}: ${error}`);
    assert.deepEqual([error.clause, error.reasonCode], [clause, reasonCode], name);
    const reason =
      reasonCode === 0x81 ? CloseReason.malformedPacket : CloseReason.protocolViolation;
    assert.equal(error.reason, reason, name);
  }
}

/** A frame and what it says; written again it has to be the same frame. */
function reads(hex: string, sender: Sender, packet: ControlPacket5): void {
  assert.deepEqual(parse(hex, sender), packet);
  assert.deepEqual(encodePacket5(packet, sender), bytesOf(hex));
}

/** A frame in a longer form than we write. */
function readsAs(hex: string, sender: Sender, packet: object): void {
  assert.deepEqual(parse(hex, sender), packet);
}

const MQTT = '0004 4d515454 05';

describe('CONNECT', () => {
  // 3.1
  test('is read with all that may be in it', () => {
    const props = '11 00000e10 21 0014 27 00010000 22 000a 17 01 19 00 26 0001 61 0001 62';
    const ordered = '11 00000e10 17 01 19 00 21 0014 22 000a 27 00010000 26 0001 61 0001 62';
    const packet = {
      type: 'connect',
      protocolVersion: 5,
      clientId: 'id',
      cleanStart: false,
      keepAliveSeconds: 60,
      will: {
        topic: 'w',
        payload: Buffer.from('bye'),
        qos: 1,
        retain: true,
        properties: { willDelayInterval: 5, payloadFormatIndicator: 1 },
      },
      username: 'u',
      password: Buffer.from('p'),
      properties: {
        sessionExpiryInterval: 3_600,
        requestProblemInformation: true,
        requestResponseInformation: false,
        receiveMaximum: 20,
        topicAliasMaximum: 10,
        maximumPacketSize: 65_536,
        userProperties: [['a', 'b']],
      },
    } as const;
    const tail = '0002 6964 07 0101 18 00000005 0001 77 0003 627965 0001 75 0001 70';
    reads(frame('10', `${MQTT} ec 003c ${block(ordered)} ${tail}`), client, packet);
    // Properties in another order are the same.
    readsAs(frame('10', `${MQTT} ec 003c ${block(props)} ${tail}`), client, packet);
  });

  // [MQTT-3.1.3-6]; 3.1.2.9: a password without a user name, other than in 3.1.1.
  test('may have an empty client id, and a password without a user name', () => {
    const packet = {
      type: 'connect',
      protocolVersion: 5,
      clientId: '',
      cleanStart: true,
      keepAliveSeconds: 0,
      will: null,
      username: null,
      password: Buffer.from('p'),
      properties: {},
    } as const;
    reads(frame('10', `${MQTT} 42 0000 00 0000 0001 70`), client, packet);
    const plain = { ...packet, cleanStart: false, password: null };
    reads(frame('10', `${MQTT} 00 0000 00 0000`), client, plain);
  });

  test('is refused for what it may not be', () => {
    const connect = (body: string) => frame('10', body);
    refuses([
      ['flags in the header', `11 0d ${MQTT} 02 0000 00 0000`, client, 'MQTT-2.1.3-1', 0x81],
      ['name', connect('0004 4d515455 05 02 0000 00 0000'), client, 'MQTT-3.1.2-2', 0x84],
      ['version 6', connect('0004 4d515454 06 02 0000 00 0000'), client, 'MQTT-3.1.2-2', 0x84],
      ['version 4', connect('0004 4d515454 04 02 0000 00 0000'), client, 'MQTT-3.1.2-2', 0x84],
      ['name of bad UTF-8', connect('0001 ff 05 02 0000 00 0000'), client, 'MQTT-1.5.4-1', 0x81],
      ['nothing', '10 00', client, 'MQTT-3.1.2-1', 0x81],
      ['no version', connect('0004 4d515454'), client, 'MQTT-3.1.2-1', 0x81],
      ['no flags', connect(MQTT), client, '3.1.2.3', 0x81],
      ['reserved flag', connect(`${MQTT} 03 0000 00 0000`), client, 'MQTT-3.1.2-3', 0x81],
      ['no keep alive', connect(`${MQTT} 02 00`), client, '3.1.2.10', 0x81],
      ['no properties', connect(`${MQTT} 02 0000`), client, 'MQTT-2.2.2-1', 0x81],
      ['no client id', connect(`${MQTT} 02 0000 00`), client, 'MQTT-3.1.3-3', 0x81],
      ['long client id', connect(`${MQTT} 02 0000 00 0002 61`), client, 'MQTT-3.1.3-3', 0x81],
      // [MQTT-3.1.3-4]
      ['NUL', connect(`${MQTT} 02 0000 00 0001 00`), client, 'MQTT-1.5.4-2', 0x81],
      ['UTF-8', connect(`${MQTT} 02 0000 00 0003 eda080`), client, 'MQTT-1.5.4-1', 0x81],
      ['will QoS alone', connect(`${MQTT} 0a 0000 00 0000`), client, 'MQTT-3.1.2-11', 0x81],
      ['will retain alone', connect(`${MQTT} 22 0000 00 0000`), client, 'MQTT-3.1.2-13', 0x81],
      [
        'will QoS 3',
        connect(`${MQTT} 1e 0000 00 0000 00 0001 77 0000`),
        client,
        'MQTT-3.1.2-12',
        0x81,
      ],
      ['no will', connect(`${MQTT} 06 0000 00 0000`), client, 'MQTT-2.2.2-1', 0x81],
      ['no will topic', connect(`${MQTT} 06 0000 00 0000 00`), client, 'MQTT-3.3.2-1', 0x81],
      [
        'no will payload',
        connect(`${MQTT} 06 0000 00 0000 00 0001 77`),
        client,
        'MQTT-3.1.2-9',
        0x81,
      ],
      [
        'empty will topic',
        connect(`${MQTT} 06 0000 00 0000 00 0000 0000`),
        client,
        'MQTT-4.7.3-1',
        0x82,
      ],
      [
        'will topic with a wildcard',
        connect(`${MQTT} 06 0000 00 0000 00 0001 23 0000`),
        client,
        'MQTT-4.7.0-1',
        0x82,
      ],
      [
        // [MQTT-3.1.3-11]
        'will topic of bad UTF-8',
        connect(`${MQTT} 06 0000 00 0000 00 0001 ff 0000`),
        client,
        'MQTT-1.5.4-1',
        0x81,
      ],
      [
        'a Will Delay Interval outside of the will',
        connect(`${MQTT} 02 0000 05 18 00000001 0000`),
        client,
        '2.2.2.2',
        0x81,
      ],
      [
        'a Session Expiry Interval in the will',
        connect(`${MQTT} 06 0000 00 0000 05 11 00000001 0001 77 0000`),
        client,
        '2.2.2.2',
        0x81,
      ],
      ['no user name', connect(`${MQTT} 82 0000 00 0000`), client, 'MQTT-3.1.2-17', 0x81],
      // [MQTT-3.1.3-12]
      ['user name', connect(`${MQTT} 82 0000 00 0000 0001 00`), client, 'MQTT-1.5.4-2', 0x81],
      ['no password', connect(`${MQTT} 42 0000 00 0000`), client, 'MQTT-3.1.2-19', 0x81],
      // [MQTT-3.1.2-16] [MQTT-3.1.2-18]
      [
        'a user name that is not announced',
        connect(`${MQTT} 02 0000 00 0000 0001 75`),
        client,
        'MQTT-3.1.3-1',
        0x81,
      ],
      ['properties beyond the packet', connect(`${MQTT} 02 0000 7f 0000`), client, '2.2.2.1', 0x81],
      [
        'a Property Length that is not the shortest',
        connect(`${MQTT} 02 0000 8000 0000`),
        client,
        'MQTT-2.2.2-1',
        0x81,
      ],
      ['Receive Maximum 0', connect(`${MQTT} 02 0000 03 21 0000 0000`), client, '3.1.2.11.3', 0x82],
      [
        'Receive Maximum twice',
        connect(`${MQTT} 02 0000 06 21 0001 21 0001 0000`),
        client,
        '3.1.2.11.3',
        0x82,
      ],
    ]);
  });
});

describe('CONNACK', () => {
  // 3.2
  test('is read with all that may be in it', () => {
    reads('20 03 01 00 00', server, {
      type: 'connack',
      sessionPresent: true,
      reasonCode: 0,
      properties: {},
    });
    const properties =
      '11ffffffff 12 0001 61 13 003c 1a 0001 72 1f 0001 73 21 0001 22 0000 24 01 25 00 27 00000080';
    reads(frame('20', `00 00 ${block(`${properties} 28 00 29 00 2a 00`)}`), server, {
      type: 'connack',
      sessionPresent: false,
      reasonCode: 0,
      properties: {
        sessionExpiryInterval: 4_294_967_295,
        assignedClientIdentifier: 'a',
        serverKeepAlive: 60,
        responseInformation: 'r',
        reasonString: 's',
        receiveMaximum: 1,
        topicAliasMaximum: 0,
        maximumQos: 1,
        retainAvailable: false,
        maximumPacketSize: 128,
        wildcardSubscriptionAvailable: false,
        subscriptionIdentifiersAvailable: false,
        sharedSubscriptionAvailable: false,
      },
    });
    reads('20 09 00 9d 06 1c 0003 613a31', server, {
      type: 'connack',
      sessionPresent: false,
      reasonCode: 0x9d,
      properties: { serverReference: 'a:1' },
    });
  });

  test('is refused for what it may not be', () => {
    refuses([
      ['flags in the header', '21 03 00 00 00', server, 'MQTT-2.1.3-1', 0x81],
      ['reserved flags', '20 03 02 00 00', server, 'MQTT-3.2.2-1', 0x81],
      ['session present in a refusal', '20 03 01 80 00', server, 'MQTT-3.2.2-6', 0x82],
      ['a code of PUBACK', '20 03 00 10 00', server, 'MQTT-3.2.2-8', 0x82],
      ['a return code of 3.1.1', '20 03 00 05 00', server, 'MQTT-3.2.2-8', 0x82],
      ['the form of 3.1.1', '20 02 00 00', server, 'MQTT-2.2.2-1', 0x81],
      ['nothing', '20 00', server, '3.2.2', 0x81],
      ['no code', '20 01 00', server, 'MQTT-3.2.2-8', 0x81],
      ['bytes too many', '20 04 00 00 00 00', server, '3.2.3', 0x81],
      ['from a client', '20 03 00 00 00', client, 'MQTT-3.2.2-8', 0x82],
    ]);
  });
});

describe('PUBLISH', () => {
  // 3.3
  test('is read with all that may be in it', () => {
    reads('30 05 0001 74 00 70', client, {
      type: 'publish',
      topic: 't',
      payload: Buffer.from('p'),
      qos: 0,
      retain: false,
      dup: false,
      packetId: 0,
      properties: {},
    });
    const properties = '0101 0200000001 03000163 08000172 090001ff 230001 26000161000162';
    reads(frame('3d', `0001 74 0007 ${block(properties)}`), client, {
      type: 'publish',
      topic: 't',
      payload: Buffer.alloc(0),
      qos: 2,
      retain: true,
      dup: true,
      packetId: 7,
      properties: {
        payloadFormatIndicator: 1,
        messageExpiryInterval: 1,
        contentType: 'c',
        responseTopic: 'r',
        correlationData: Buffer.from([0xff]),
        topicAlias: 1,
        userProperties: [['a', 'b']],
      },
    });
    // 3.3.2.1: an empty topic with an alias; 3.3.2.3.8: identifiers of several subscriptions.
    reads('30 0a 0000 07 0b01 0b02 230001', server, {
      type: 'publish',
      topic: '',
      payload: Buffer.alloc(0),
      qos: 0,
      retain: false,
      dup: false,
      packetId: 0,
      properties: { subscriptionIdentifiers: [1, 2], topicAlias: 1 },
    });
  });

  test('is refused for what it may not be', () => {
    refuses([
      ['QoS 3', '36 06 0001 74 0001 00', client, 'MQTT-3.3.1-4', 0x81],
      ['DUP with QoS 0', '38 04 0001 74 00', client, 'MQTT-3.3.1-2', 0x81],
      ['no topic', '30 00', client, 'MQTT-3.3.2-1', 0x81],
      ['long topic', '30 04 0005 74 00', client, 'MQTT-3.3.2-1', 0x81],
      // 3.3.2.1
      ['empty topic, no alias', '30 03 0000 00', client, '3.3.2.1', 0x82],
      ['# in the topic', '30 04 0001 23 00', client, 'MQTT-3.3.2-2', 0x82],
      ['+ in the topic', '30 06 0003 2b2f61 00', client, 'MQTT-3.3.2-2', 0x82],
      ['NUL in the topic', '30 04 0001 00 00', client, 'MQTT-1.5.4-2', 0x81],
      ['bad UTF-8', '30 06 0003 eda080 00', client, 'MQTT-1.5.4-1', 0x81],
      ['packet id 0', '32 06 0001 74 0000 00', client, 'MQTT-2.2.1-3', 0x82],
      ['no packet id', '32 04 0001 74 00', client, '2.2.1', 0x81],
      ['no Property Length', '30 03 0001 74', client, 'MQTT-2.2.2-1', 0x81],
      ['long properties', '30 06 0001 74 03 2300', client, '2.2.2.1', 0x81],
      ['a property cut short', '30 06 0001 74 02 2300', client, '2.2.2.1', 0x81],
      ['Topic Alias 0', '30 07 0001 74 03 230000', client, 'MQTT-3.3.2-8', 0x94],
      ['alias twice', '30 0a 0001 74 06 230001230001', client, 'MQTT-3.3.2-8', 0x82],
      ['response topic', '30 08 0001 74 04 08000123', client, 'MQTT-3.3.2-14', 0x82],
      ['payload format 2', '30 06 0001 74 02 0102', client, '3.3.2.3.2', 0x82],
      ['identifier', '30 06 0001 74 02 0b01', client, 'MQTT-3.3.4-6', 0x82],
      ['identifier 0', '30 06 0001 74 02 0b00', server, '3.8.2.1.2', 0x82],
      ['property of CONNECT', '30 07 0001 74 03 210001', client, '2.2.2.2', 0x81],
      ['unknown property', '30 06 0001 74 02 0401', client, '2.2.2.2', 0x81],
    ]);
  });
});

describe('PUBACK, PUBREC, PUBREL and PUBCOMP', () => {
  const HEADERS = [
    ['puback', '40'],
    ['pubrec', '50'],
    ['pubrel', '62'],
    ['pubcomp', '70'],
  ] as const;

  // 3.4.2.1, 3.5.2.1, 3.6.2.1, 3.7.2.1: the code may be left out when it is 0 and without
  // properties; 3.4.2.2.1: below 4 bytes there is no Property Length.
  test('are read in their short and long forms', () => {
    for (const [type, header] of HEADERS) {
      const code = type === 'puback' || type === 'pubrec' ? 0x10 : 0x92;
      const hex = code.toString(16);
      const bare = { type, packetId: 0x1234, reasonCode: 0, properties: {} };
      reads(`${header} 02 1234`, client, bare);
      readsAs(`${header} 03 1234 00`, client, bare);
      readsAs(`${header} 04 1234 00 00`, client, bare);
      reads(`${header} 03 1234 ${hex}`, server, { ...bare, reasonCode: code });
      readsAs(`${header} 04 1234 ${hex} 00`, server, { ...bare, reasonCode: code });
      reads(`${header} 0f 1234 00 0b 1f 0001 78 26 0001 61 0001 62`, server, {
        ...bare,
        properties: { reasonString: 'x', userProperties: [['a', 'b']] },
      });
    }
  });

  test('are refused for what they may not be', () => {
    for (const [type, header] of HEADERS) {
      const n = { puback: 4, pubrec: 5, pubrel: 6, pubcomp: 7 }[type];
      const flagsClause = type === 'pubrel' ? 'MQTT-3.6.1-1' : 'MQTT-2.1.3-1';
      const flagged = type === 'pubrel' ? '60' : `${n}2`;
      refuses([
        [`${type}: flags`, `${flagged} 02 0001`, client, flagsClause, 0x81],
        [`${type}: nothing`, `${header} 00`, client, '2.2.1', 0x81],
        [`${type}: half an id`, `${header} 01 00`, client, '2.2.1', 0x81],
        [`${type}: packet id 0`, `${header} 02 0000`, client, 'MQTT-2.2.1-3', 0x82],
        [`${type}: unknown code`, `${header} 03 0001 03`, client, `MQTT-3.${n}.2-1`, 0x82],
        [`${type}: SUBACK's code`, `${header} 03 0001 01`, server, `MQTT-3.${n}.2-1`, 0x82],
        [`${type}: bytes too many`, `${header} 05 0001 00 00 00`, client, `MQTT-3.${n}.2-1`, 0x81],
        [`${type}: long properties`, `${header} 04 0001 00 01`, client, '2.2.2.1', 0x81],
        [`${type}: a property`, `${header} 07 0001 00 03 210001`, client, '2.2.2.2', 0x81],
        // "It is a Protocol Error to include the Reason String more than once."
        [
          `${type}: Reason String twice`,
          `${header} 0c 0001 00 08 1f000178 1f000178`,
          client,
          '3.2.2.3.9',
          0x82,
        ],
      ]);
    }
  });
});

describe('SUBSCRIBE', () => {
  // 3.8
  test('is read with all options and its identifier', () => {
    reads('82 0f 0007 02 0b01 0001 61 2e 0003 622f23 11', client, {
      type: 'subscribe',
      packetId: 7,
      properties: { subscriptionIdentifiers: [1] },
      subscriptions: [
        { filter: 'a', qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 },
        { filter: 'b/#', qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 1 },
      ],
    });
    // The syntax of a filter is answered in SUBACK.
    assert.equal(parse('82 08 0007 00 0002 2361 00', client).type, 'subscribe');
    const shared = '2473686172652f672f61';
    assert.equal(parse(frame('82', `0007 00 000a ${shared} 02`), client).type, 'subscribe');
  });

  test('is refused for what it may not be', () => {
    const shared = '2473686172652f672f61';
    refuses([
      ['flags', '80 07 0007 00 0001 61 00', client, 'MQTT-3.8.1-1', 0x81],
      ['packet id 0', '82 07 0000 00 0001 61 00', client, 'MQTT-2.2.1-3', 0x82],
      ['no filter', '82 03 0007 00', client, 'MQTT-3.8.3-2', 0x82],
      ['no Property Length', '82 02 0007', client, 'MQTT-2.2.2-1', 0x81],
      ['the form of 3.1.1', '82 06 0007 0001 61 00', client, 'MQTT-3.8.3-1', 0x81],
      ['no options', '82 06 0007 00 0001 61', client, '3.8.3', 0x81],
      ['long filter', '82 07 0007 00 0009 61 00', client, 'MQTT-3.8.3-1', 0x81],
      ['empty filter', '82 06 0007 00 0000 00', client, 'MQTT-4.7.3-1', 0x82],
      ['NUL', '82 07 0007 00 0001 00 00', client, 'MQTT-1.5.4-2', 0x81],
      ['UTF-8', '82 07 0007 00 0001 ff 00', client, 'MQTT-1.5.4-1', 0x81],
      // "It is a Protocol Error if the Maximum QoS field has the value 3."
      ['QoS 3', '82 07 0007 00 0001 61 03', client, '3.8.3.1', 0x82],
      // "It is a Protocol Error to send a Retain Handling value of 3."
      ['Retain Handling 3', '82 07 0007 00 0001 61 30', client, '3.8.3.1', 0x82],
      ['reserved bit 6', '82 07 0007 00 0001 61 40', client, 'MQTT-3.8.3-5', 0x81],
      ['reserved bit 7', '82 07 0007 00 0001 61 80', client, 'MQTT-3.8.3-5', 0x81],
      ['second filter', '82 0b 0007 00 0001 61 00 0001 61 80', client, 'MQTT-3.8.3-5', 0x81],
      ['No Local, shared', frame('82', `0007 00 000a ${shared} 04`), client, 'MQTT-3.8.3-4', 0x82],
      ['identifier 0', '82 09 0007 02 0b00 0001 61 00', client, '3.8.2.1.2', 0x82],
      ['identifiers', '82 0b 0007 04 0b010b02 0001 61 00', client, '3.8.2.1.2', 0x82],
      ['property', '82 0b 0007 04 1f000161 0001 61 00', client, '2.2.2.2', 0x81],
    ]);
  });
});

describe('UNSUBSCRIBE', () => {
  // 3.10
  test('is read with its filters', () => {
    reads('a2 10 0007 07 26000161000162 0001 61 0001 62', client, {
      type: 'unsubscribe',
      packetId: 7,
      filters: ['a', 'b'],
      properties: { userProperties: [['a', 'b']] },
    });
  });

  test('is refused for what it may not be', () => {
    refuses([
      ['flags', 'a0 06 0007 00 0001 61', client, 'MQTT-3.10.1-1', 0x81],
      ['packet id 0', 'a2 06 0000 00 0001 61', client, 'MQTT-2.2.1-3', 0x82],
      ['no filter', 'a2 03 0007 00', client, 'MQTT-3.10.3-2', 0x82],
      ['half a filter', 'a2 06 0007 00 0002 61', client, 'MQTT-3.10.3-1', 0x81],
      ['empty filter', 'a2 05 0007 00 0000', client, 'MQTT-4.7.3-1', 0x82],
      ['UTF-8', 'a2 06 0007 00 0001 ff', client, 'MQTT-1.5.4-1', 0x81],
      ['property', 'a2 08 0007 02 0b01 0001 61', client, '2.2.2.2', 0x81],
    ]);
  });
});

describe('SUBACK and UNSUBACK', () => {
  // 3.9, 3.11
  test('are read with their reason codes', () => {
    const properties = { reasonString: 'x' };
    reads('90 0c 0007 04 1f000178 00 01 02 80 a2', server, {
      type: 'suback',
      packetId: 7,
      reasonCodes: [0, 1, 2, 0x80, 0xa2],
      properties,
    });
    reads('b0 0a 0007 04 1f000178 00 11 8f', server, {
      type: 'unsuback',
      packetId: 7,
      reasonCodes: [0, 0x11, 0x8f],
      properties,
    });
  });

  test('are refused for what they may not be', () => {
    refuses([
      ['SUBACK flags', '92 04 0007 00 00', server, 'MQTT-2.1.3-1', 0x81],
      ['UNSUBACK flags', 'b2 04 0007 00 00', server, 'MQTT-2.1.3-1', 0x81],
      ['SUBACK id 0', '90 04 0000 00 00', server, 'MQTT-2.2.1-3', 0x82],
      ['UNSUBACK id 0', 'b0 04 0000 00 00', server, 'MQTT-2.2.1-3', 0x82],
      ['SUBACK without codes', '90 03 0007 00', server, 'MQTT-3.9.3-2', 0x81],
      ['UNSUBACK of 3.1.1', 'b0 02 0007', server, 'MQTT-2.2.2-1', 0x81],
      ['UNSUBACK without codes', 'b0 03 0007 00', server, 'MQTT-3.11.3-2', 0x81],
      ['SUBACK code', '90 04 0007 00 11', server, 'MQTT-3.9.3-2', 0x82],
      ['UNSUBACK code', 'b0 04 0007 00 01', server, 'MQTT-3.11.3-2', 0x82],
      ['SUBACK property', '90 06 0007 02 0b01 00', server, '2.2.2.2', 0x81],
    ]);
  });
});

describe('PINGREQ and PINGRESP', () => {
  // 3.12, 3.13
  test('are two bytes', () => {
    reads('c0 00', client, { type: 'pingreq' });
    reads('d0 00', server, { type: 'pingresp' });
    refuses([
      ['PINGREQ flags', 'c1 00', client, 'MQTT-2.1.3-1', 0x81],
      ['PINGRESP flags', 'd8 00', server, 'MQTT-2.1.3-1', 0x81],
      ['PINGREQ with a body', 'c0 01 00', client, '3.12.1', 0x81],
      ['PINGRESP with a body', 'd0 01 00', server, '3.13.1', 0x81],
    ]);
  });
});

describe('DISCONNECT', () => {
  // 3.14.2.1, 3.14.2.2.1
  test('is read in its short and long forms', () => {
    const normal = { type: 'disconnect', reasonCode: 0, properties: {} } as const;
    reads('e0 00', client, normal);
    readsAs('e0 01 00', client, normal);
    readsAs('e0 02 00 00', server, normal);
    reads('e0 01 04', client, { ...normal, reasonCode: 4 });
    reads('e0 07 00 05 11 00000000', client, {
      ...normal,
      properties: { sessionExpiryInterval: 0 },
    });
    reads('e0 0b 9c 09 1c 0001 62 1f 0002 6f6b', server, {
      ...normal,
      reasonCode: 0x9c,
      properties: { serverReference: 'b', reasonString: 'ok' },
    });
  });

  test('is refused for what it may not be', () => {
    refuses([
      ['flags', 'e1 00', client, 'MQTT-3.14.1-1', 0x81],
      ['unknown code', 'e0 01 01', client, 'MQTT-3.14.2-1', 0x82],
      ["a server's code", 'e0 01 8b', client, 'MQTT-3.14.2-1', 0x82],
      ["a client's code", 'e0 01 04', server, 'MQTT-3.14.2-1', 0x82],
      ["a client's property", 'e0 07 00 05 11 00000000', server, 'MQTT-3.14.2-2', 0x82],
      ["a server's property", 'e0 06 00 04 1c 0001 61', client, '3.14.2.2.5', 0x82],
      ['bytes too many', 'e0 03 00 00 00', client, '3.14.3', 0x81],
      ['long properties', 'e0 02 00 01', client, '2.2.2.1', 0x81],
      ['expiry twice', 'e0 0c 00 0a 11 00000001 11 00000001', client, '3.1.2.11.2', 0x82],
    ]);
  });
});

describe('AUTH', () => {
  // 3.15
  test('is read with its method and data', () => {
    reads('f0 0a 18 08 15 0001 6d 16 0001 ff', client, {
      type: 'auth',
      reasonCode: 0x18,
      properties: { authenticationMethod: 'm', authenticationData: Buffer.from([0xff]) },
    });
    // 3.15.2.1
    reads('f0 00', server, { type: 'auth', reasonCode: 0, properties: {} });
  });

  test('is refused for what it may not be', () => {
    refuses([
      ['flags', 'f1 00', client, 'MQTT-3.15.1-1', 0x81],
      ['no method', 'f0 02 18 00', client, '3.15.2.2.2', 0x82],
      ['no Property Length', 'f0 01 18', client, 'MQTT-2.2.2-1', 0x81],
      ['unknown code', 'f0 06 10 04 15 0001 6d', client, 'MQTT-3.15.2-1', 0x82],
      ["a server's code", 'f0 06 00 04 15 0001 6d', client, 'MQTT-3.15.2-1', 0x82],
      ["a client's code", 'f0 06 19 04 15 0001 6d', server, 'MQTT-3.15.2-1', 0x82],
      ['short, from a client', 'f0 00', client, 'MQTT-3.15.2-1', 0x81],
      ['bytes too many', 'f0 07 18 04 15 0001 6d 00', client, '3.15.3', 0x81],
      ['data twice', 'f0 0e 18 0c 15 0001 6d 16 0001 ff 16 0001 ff', client, '3.15.2.2.3', 0x82],
    ]);
  });
});

describe('any packet', () => {
  test('is refused for its fixed header', () => {
    refuses([
      // Table 2-1
      ['type 0', '00 00', client, '2.1.2', 0x81],
      ['no length', 'c0', client, '2.1.4', 0x81],
      ['half a length', '30 80', client, '2.1.4', 0x81],
      // [MQTT-1.5.5-1]
      ['padded length', 'c0 8000', client, 'MQTT-1.5.5-1', 0x81],
      ['length of 5 bytes', 'c0 8080808000', client, 'MQTT-1.5.5-1', 0x81],
      ['bytes missing', '30 05 0001 74 00', client, '2.1.4', 0x81],
      ['bytes too many', '30 03 0001 74 00', client, '2.1.4', 0x81],
      // What 3.1 allows.
      ['SUBSCRIBE with DUP', '8a 07 0007 00 0001 61 00', client, 'MQTT-3.8.1-1', 0x81],
      ['PUBREL with DUP', '6a 02 0007', client, 'MQTT-3.6.1-1', 0x81],
    ]);
  });
});
