import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConnectRefusedError, ProtocolError } from '../../../src/base/errors.js';
import { parsePacket } from '../../../src/protocol/codec.js';
import { checkFrame } from '../../../src/protocol/frame-check.js';
import type { ProtocolVersion3x } from '../../../src/protocol/packet.js';

/** A frame: header byte and body in hexadecimal, with the remaining length put between them. */
function frame(header: number, body: string): Buffer {
  const bytes = Buffer.from(body.replaceAll(' ', ''), 'hex');
  assert.ok(bytes.length < 128);
  return Buffer.concat([Buffer.from([header, bytes.length]), bytes]);
}

/** The clause that a frame breaks, or `refused N` for a CONNACK return code, or `none`. */
function verdict(bytes: Buffer, version: ProtocolVersion3x = 4): string {
  try {
    // In the middle of other bytes, none of which may be looked at.
    const around = Buffer.concat([Buffer.alloc(3, 0x61), bytes, Buffer.alloc(99, 0x61)]);
    checkFrame(around, 3, 3 + bytes.length, version);
    return 'none';
  } catch (error) {
    if (error instanceof ProtocolError) return error.clause;
    if (error instanceof ConnectRefusedError) return `refused ${error.returnCode}`;
    throw error;
  }
}

type Vectors = readonly (readonly [behaviour: string, verdict: string, ...bodies: string[]])[];

function checkVectors(header: number, vectors: Vectors, version: ProtocolVersion3x = 4): void {
  for (const [behaviour, expected, ...bodies] of vectors) {
    test(`${behaviour}: ${expected}`, () => {
      for (const body of bodies)
        assert.equal(verdict(frame(header, body), version), expected, body);
    });
  }
}

const MQTT4 = '0004 4d515454 04';
const MQIsdp3 = '0006 4d5149736470 03';
const KEEP_ALIVE = '003c';
const ID = '0001 61';
const WILL = '0001 77 0002 fffe';
const USER = '0001 75';
const PASSWORD = '0002 00ff';

describe('CONNECT', () => {
  checkVectors(0x10, [
    ['the shortest there is passes', 'none', `${MQTT4} 02 ${KEEP_ALIVE} 0000`],
    [
      'with all fields passes',
      'none',
      `${MQTT4} ee ${KEEP_ALIVE} ${ID} ${WILL} ${USER} ${PASSWORD}`,
    ],
    [
      'a will of no bytes, a user name of no bytes pass',
      'none',
      `${MQTT4} 86 0000 ${ID} 0001 77 0000 0000`,
    ],
    [
      'another protocol name',
      'MQTT-3.1.2-1',
      '0004 4d515458 04 02 003c 0000',
      '0004 6d717474 04 02 003c 0000',
      '0000 04 02 003c 0000',
      '0005 4d51545454 04',
    ],
    [
      'a protocol name longer than the packet',
      'MQTT-3.1.2-1',
      '',
      '00',
      '0004',
      '0004 4d5154',
      'ffff 4d515454',
    ],
    [
      'another level',
      'refused 1',
      '0004 4d515454 05 02 003c 0000',
      '0004 4d515454 03 02 003c 0000',
      '0004 4d515454 85 02',
      '0004 4d515454 00',
      '0006 4d5149736470 04',
      '0006 4d5149736470 84',
      '0004 4d515454 ff',
    ],
    ['no level', '3.1.2.2', '0004 4d515454'],
    ['no flags', '3.1.2.3', MQTT4],
    ['no keep alive', '3.1.2.10', `${MQTT4} 02`, `${MQTT4} 02 00`],
    [
      'the reserved flag',
      'MQTT-3.1.2-3',
      `${MQTT4} 03 ${KEEP_ALIVE} 0000`,
      `${MQTT4} 01 ${KEEP_ALIVE} ${ID}`,
    ],
    [
      'will QoS without a will',
      'MQTT-3.1.2-13',
      `${MQTT4} 0a ${KEEP_ALIVE} ${ID}`,
      `${MQTT4} 12 ${KEEP_ALIVE} ${ID}`,
      `${MQTT4} 1a ${KEEP_ALIVE} ${ID}`,
    ],
    ['will retain without a will', 'MQTT-3.1.2-15', `${MQTT4} 22 ${KEEP_ALIVE} ${ID}`],
    ['will QoS 3', 'MQTT-3.1.2-14', `${MQTT4} 1e ${KEEP_ALIVE} ${ID} ${WILL}`],
    [
      'a password without a user name',
      'MQTT-3.1.2-22',
      `${MQTT4} 42 ${KEEP_ALIVE} ${ID} ${PASSWORD}`,
    ],
    [
      'no client id',
      'MQTT-3.1.3-3',
      `${MQTT4} 02 ${KEEP_ALIVE}`,
      `${MQTT4} 02 ${KEEP_ALIVE} 00`,
      `${MQTT4} 02 ${KEEP_ALIVE} 0002 61`,
    ],
    ['an empty client id with clean session 0', 'refused 2', `${MQTT4} 00 ${KEEP_ALIVE} 0000`],
    [
      'a will flag without a will',
      'MQTT-3.1.2-9',
      `${MQTT4} 06 ${KEEP_ALIVE} ${ID}`,
      `${MQTT4} 06 ${KEEP_ALIVE} ${ID} 0001 77`,
      `${MQTT4} 06 ${KEEP_ALIVE} ${ID} 0001 77 0002 ff`,
    ],
    ['an empty will topic', 'MQTT-4.7.3-1', `${MQTT4} 06 ${KEEP_ALIVE} ${ID} 0000 0000`],
    [
      'a will topic with a wildcard',
      'MQTT-4.7.1-1',
      `${MQTT4} 06 ${KEEP_ALIVE} ${ID} 0003 772f23 0000`,
      `${MQTT4} 06 ${KEEP_ALIVE} ${ID} 0001 2b 0000`,
    ],
    [
      'a user name flag without a user name',
      'MQTT-3.1.2-19',
      `${MQTT4} 82 ${KEEP_ALIVE} ${ID}`,
      `${MQTT4} 82 ${KEEP_ALIVE} ${ID} 0002 75`,
    ],
    [
      'a password flag without a password',
      'MQTT-3.1.2-21',
      `${MQTT4} c2 ${KEEP_ALIVE} ${ID} ${USER}`,
      `${MQTT4} c2 ${KEEP_ALIVE} ${ID} ${USER} 0003 00ff`,
    ],
    [
      'fields that no flag announces',
      'MQTT-3.1.3-1',
      `${MQTT4} 02 ${KEEP_ALIVE} ${ID} ${USER}`,
      `${MQTT4} 82 ${KEEP_ALIVE} ${ID} ${USER} ${PASSWORD}`,
      `${MQTT4} 02 ${KEEP_ALIVE} ${ID} 00`,
    ],
    ['a client id that is not UTF-8', 'MQTT-1.5.3-1', `${MQTT4} 02 ${KEEP_ALIVE} 0001 ff`],
    [
      'a will topic that is not UTF-8',
      'MQTT-1.5.3-1',
      `${MQTT4} 06 ${KEEP_ALIVE} ${ID} 0001 80 0000`,
    ],
    ['a user name that is not UTF-8', 'MQTT-1.5.3-1', `${MQTT4} 82 ${KEEP_ALIVE} ${ID} 0002 c3 28`],
    ['a client id with U+0000', 'MQTT-1.5.3-2', `${MQTT4} 02 ${KEEP_ALIVE} 0003 610061`],
  ]);
});

describe('CONNECT of MQTT 3.1', () => {
  checkVectors(0x10, [
    ['the shortest there is passes', 'none', `${MQIsdp3} 02 ${KEEP_ALIVE} ${ID}`],
    [
      'a client id of more than 23 bytes passes',
      'none',
      `${MQIsdp3} 02 ${KEEP_ALIVE} 0018 ${'61'.repeat(24)}`,
    ],
    [
      'an empty client id',
      'refused 2',
      `${MQIsdp3} 02 ${KEEP_ALIVE} 0000`,
      `${MQIsdp3} 00 ${KEEP_ALIVE} 0000`,
    ],
    ['the unused flag passes', 'none', `${MQIsdp3} 03 ${KEEP_ALIVE} ${ID}`],
    // "Server implementations must allow for the possibility that the User Name flag is set, but
    // the User Name string is missing" (and the password's likewise).
    [
      'credentials announced and missing pass',
      'none',
      `${MQIsdp3} 82 ${KEEP_ALIVE} ${ID}`,
      `${MQIsdp3} c2 ${KEEP_ALIVE} ${ID}`,
      `${MQIsdp3} c2 ${KEEP_ALIVE} ${ID} ${USER}`,
    ],
    ['a user name that is cut short', 'MQTT-3.1.2-19', `${MQIsdp3} c2 ${KEEP_ALIVE} ${ID} 00`],
  ]);
});

describe('UTF-8 strings', () => {
  const subscribe = (hex: string) => {
    const length = (hex.length / 2).toString(16).padStart(4, '0');
    return frame(0x82, `0001 ${length} ${hex} 00`);
  };
  const vectors: Readonly<Record<string, readonly string[]>> = {
    // [MQTT-1.5.3-1]: RFC 3629 forbids surrogates, overlong forms, and what is above U+10FFFF.
    'MQTT-1.5.3-1': [
      'eda080',
      'edbfbf',
      'eda081edb080',
      'c080',
      'c1bf',
      'e08080',
      'e09fbf',
      'f0808080',
      'f4908080',
      'f8808080',
      'ff',
      'fe',
      '80',
      'c3',
      'e282',
      '61c3',
    ],
    'MQTT-1.5.3-2': ['00', '6100', '0061'],
    // [MQTT-1.5.3-3]: U+FEFF is a character like any other. Controls and non-characters are a
    // SHOULD NOT.
    none: [
      'efbbbf',
      '61efbbbf',
      '01',
      '7f',
      'c280',
      'efbfbf',
      'ed9fbf',
      'ee8080',
      'f09f9880',
      'f48fbfbf',
      'c3bc',
    ],
  };
  for (const [expected, texts] of Object.entries(vectors)) {
    test(`bytes judged ${expected}`, () => {
      for (const hex of texts) assert.equal(verdict(subscribe(hex)), expected, hex);
    });
  }
});

describe('SUBSCRIBE', () => {
  checkVectors(0x82, [
    ['with one filter or more passes', 'none', '0001 0001 61 00', 'ffff 0001 61 02 0003 612f23 01'],
    // The broker answers 0x80 for what is UTF-8 and no filter.
    ['filters of any syntax pass', 'none', '0001 0002 2361 00', '0001 0002 612b 00'],
    ['an empty filter', 'MQTT-4.7.3-1', '0001 0000 00', '0001 0001 61 00 0000 00'],
    ['packet id 0', 'MQTT-2.3.1-1', '0000 0001 61 00'],
    ['no packet id', '2.3.1', '', '00'],
    ['no filter', 'MQTT-3.8.3-3', '0001'],
    [
      'a filter longer than the packet',
      'MQTT-3.8.3-1',
      '0001 00',
      '0001 0002 61',
      '0001 0001 61 00 0002 61',
      '0001 0001 61 00 00',
    ],
    ['a filter without a QoS', '3.8.3', '0001 0001 61', '0001 0001 61 00 0001 61'],
    [
      'a QoS byte over 2',
      'MQTT-3-8.3-4',
      '0001 0001 61 03',
      '0001 0001 61 04',
      '0001 0001 61 80',
      '0001 0001 61 00 0001 61 13',
    ],
  ]);
});

describe('UNSUBSCRIBE', () => {
  checkVectors(0xa2, [
    ['with one filter or more passes', 'none', '0001 0001 61', '0001 0001 61 0001 62'],
    ['an empty filter', 'MQTT-4.7.3-1', '0001 0000', '0001 0001 61 0000'],
    ['packet id 0', 'MQTT-2.3.1-1', '0000 0001 61'],
    ['no packet id', '2.3.1', '', '00'],
    ['no filter', 'MQTT-3.10.3-2', '0001'],
    ['a filter longer than the packet', 'MQTT-3.10.3-1', '0001 0002 61', '0001 0001 61 00'],
    ['a filter that is not UTF-8', 'MQTT-1.5.3-1', '0001 0001 ff'],
  ]);
});

describe('SUBACK', () => {
  checkVectors(0x90, [
    ['with all four return codes passes', 'none', '0001 00010280'],
    ['packet id 0', 'MQTT-2.3.1-1', '0000 00'],
    ['no return code', 'MQTT-3.9.3-1', '0001'],
    ['a reserved return code', 'MQTT-3.9.3-2', '0001 03', '0001 81', '0001 00ff'],
  ]);
});

describe('CONNACK', () => {
  checkVectors(0x20, [
    ['every return code passes', 'none', '0000', '0100', '0001', '0005'],
    ['a reserved return code', '3.2.2.3', '0006', '00ff'],
    ['reserved flags', '3.2.2.1', '0200', '8000'],
    ['session present in a refusal', 'MQTT-3.2.2-4', '0101'],
    ['another length', '3.2.1', '00', '000000', ''],
  ]);
});

describe('PUBLISH', () => {
  checkVectors(0x30, [
    ['with or without a payload passes', 'none', '0001 61', '0001 61 ff00ff'],
    ['no topic', 'MQTT-3.3.2-1', '', '00', '0002 61'],
    ['an empty topic', 'MQTT-4.7.3-1', '0000', '0000 61'],
    ['a topic with a wildcard', 'MQTT-3.3.2-2', '0001 2b', '0003 612f23'],
    ['a topic that is not UTF-8', 'MQTT-1.5.3-1', '0001 ff'],
    ['a topic with U+0000', 'MQTT-1.5.3-2', '0002 6100'],
  ]);
  checkVectors(0x3d, [
    ['at QoS 2 with a packet id passes', 'none', '0001 61 0001'],
    ['at QoS 2 with packet id 0', 'MQTT-2.3.1-1', '0001 61 0000 00'],
    ['at QoS 2 without a packet id', '2.3.1', '0001 61', '0001 61 00'],
  ]);
  checkVectors(0x36, [['at QoS 3', 'MQTT-3.3.1-4', '0001 61 0001']]);
  checkVectors(0x38, [['at QoS 0 with DUP', 'MQTT-3.3.1-2', '0001 61']]);
});

describe('packets without a payload', () => {
  for (const header of [0x40, 0x50, 0x62, 0x70, 0xb0]) {
    const type = header >> 4;
    checkVectors(header, [
      [`type ${type} with a packet id passes`, 'none', '0001', 'ffff'],
      [`type ${type} with packet id 0`, 'MQTT-2.3.1-1', '0000'],
      [`type ${type} of another length`, `3.${type}.1`, '', '00', '000100'],
    ]);
  }
  for (const header of [0xc0, 0xd0, 0xe0]) {
    const type = header >> 4;
    checkVectors(header, [
      [`type ${type} of no bytes passes`, 'none', ''],
      [`type ${type} with a body`, `3.${type}.1`, '00', '0001'],
    ]);
  }
});

describe('fixed header', () => {
  test('is refused with other flags than its type must have [MQTT-2.2.2-1]', () => {
    const required: Readonly<Record<number, number>> = { 6: 2, 8: 2, 10: 2 };
    for (let type = 1; type <= 14; type++) {
      if (type === 3) continue;
      for (let flags = 0; flags < 16; flags++) {
        if (flags === (required[type] ?? 0)) continue;
        // CONNECT says its version itself, behind its name.
        const body = type === 1 ? `${MQTT4} 02 ${KEEP_ALIVE} ${ID}` : '0001';
        const clause = verdict(frame((type << 4) | flags, body));
        assert.match(clause, /^MQTT-(2\.2\.2-2|3\.6\.1-1|3\.8\.1-1|3\.10\.1-1|3\.14\.1-1)$/);
      }
    }
  });

  test('of a CONNECT of 3.1 may have any flags, which are not passed on', () => {
    for (let flags = 0; flags < 16; flags++) {
      const bytes = frame(0x10 | flags, `${MQIsdp3} 03 ${KEEP_ALIVE} ${ID}`);
      const packet = parsePacket(bytes, 0, bytes.length, 4);
      assert.ok(packet.type === 'connect' && packet.protocolVersion === 3);
    }
  });

  test('of a reserved type is refused', () => {
    for (const header of [0x00, 0x0f, 0xf0, 0xff])
      assert.equal(verdict(frame(header, '')), '2.2.1');
  });

  test('is refused when its remaining length is not that of the frame', () => {
    for (const hex of ['', 'c0']) assert.match(verdict(Buffer.from(hex, 'hex')), /^2\.2/);
    for (const hex of ['3004000161', '3002000161', '3083000001 61', '30ffffffff01', '3080']) {
      assert.equal(verdict(Buffer.from(hex.replaceAll(' ', ''), 'hex')), '2.2.3', hex);
    }
  });

  test('may say DUP on PUBREL, SUBSCRIBE and UNSUBSCRIBE in MQTT 3.1', () => {
    const filters: readonly (readonly [number, string])[] = [
      [0x6a, '0001'],
      [0x8a, '0001 0001 61 00'],
      [0xaa, '0001 0001 61'],
    ];
    for (const [header, body] of filters) {
      assert.equal(verdict(frame(header, body), 3), 'none');
      assert.match(verdict(frame(header, body), 4), /^MQTT-3/);
    }
  });
});
