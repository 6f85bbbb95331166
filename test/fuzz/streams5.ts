/** Streams of MQTT 5.0 as a client might send them, if their topics are all right. */
import { DISCONNECT, PINGREQ } from '../support/packets.js';
import {
  ack5,
  connect5,
  prop,
  publish5,
  reasoned5,
  subscribe5,
  unsubscribe5,
} from '../support/packets5.js';
import type { Random } from './random.js';

type MakeTopic = (random: Random) => string | Buffer;

/** Some of what may stand in a PUBLISH, and now and then what may not. */
function messageProperties(random: Random): Buffer {
  const all = [
    () => prop.byte(0x01, random.below(2)),
    () => prop.uint32(0x02, random.pick([0, 1, 60, 0xffff_ffff])),
    () => prop.text(0x03, 'text/plain'),
    () => prop.text(0x08, 'bad/answers'),
    () => prop.text(0x09, random.bytes(random.below(20))),
    () => prop.uint16(0x23, random.pick([1, 2, 3, 16, 17, 0])),
    () => prop.pair('k', 'v'.repeat(random.below(200))),
    () => prop.varint(0x0b, random.pick([0, 1, 268_435_455])),
  ];
  return Buffer.concat(all.filter(() => random.onceIn(5)).map((make) => make()));
}

function connectProperties(random: Random): Buffer {
  const all = [
    () => prop.uint32(0x11, random.pick([0, 1, 60, 0xffff_ffff])),
    () => prop.uint16(0x21, random.pick([1, 5, 65_535])),
    () => prop.uint32(0x27, random.pick([1, 20, 100, 1_000, 0xffff_ffff])),
    () => prop.uint16(0x22, random.pick([0, 1, 10])),
    () => prop.byte(0x17, random.below(2)),
    () => prop.byte(0x19, random.below(2)),
    () => prop.text(0x15, 'script'),
    () => prop.pair('k', 'v'),
  ];
  return Buffer.concat(all.filter(() => random.onceIn(4)).map((make) => make()));
}

function opening(random: Random, topic: MakeTopic): Buffer {
  const delay = random.onceIn(2) ? prop.uint32(0x18, random.pick([0, 1, 60])) : Buffer.alloc(0);
  const own = messageProperties(random).subarray(0, random.onceIn(2) ? 0 : undefined);
  const properties = Buffer.concat([delay, own]);
  const will = { topic: topic(random), payload: 'gone', qos: random.below(3), properties };
  return connect5({
    clientId: random.onceIn(20) ? '' : `bad-${random.below(40)}`,
    cleanStart: !random.onceIn(3),
    keepAlive: random.pick([0, 1, 60]),
    properties: connectProperties(random),
    ...(random.onceIn(3) && { will }),
    ...(random.onceIn(4) && { username: 'u' }),
    ...(random.onceIn(4) && { password: 'p' }),
  });
}

function anyPacket(random: Random, topic: MakeTopic): Buffer {
  const packetId = random.pick([1, 2, 3, random.below(65_536)]);
  const qos = random.below(3);
  const code = random.pick([0, 0x10, 0x80, 0x92, 0x97, random.below(256)]);
  switch (random.below(12)) {
    case 0: {
      const options = random.below(64);
      const block = random.onceIn(3) ? prop.varint(0x0b, 1 + random.below(300)) : '';
      return subscribe5(
        packetId,
        [
          [topic(random), options],
          ['$share/g/bad/#', qos],
        ],
        block,
      );
    }
    case 1:
      return unsubscribe5(packetId, [topic(random), 'bad/#']);
    case 2:
    case 3:
      return ack5(random.pick([0x40, 0x50, 0x62, 0x70]), packetId, code);
    case 4:
      return ack5(random.pick([0x40, 0x50, 0x62, 0x70]), packetId, code, prop.text(0x1f, 'why'));
    case 5:
      return PINGREQ;
    case 6: {
      const expiry = random.onceIn(2) ? prop.uint32(0x11, random.pick([0, 1, 60])) : undefined;
      if (random.onceIn(8)) return reasoned5(0xe0, random.pick([0, 4, code]), expiry);
      return random.onceIn(8) ? DISCONNECT : PINGREQ;
    }
    case 7:
      return random.onceIn(4) ? reasoned5(0xf0, 0x19, prop.text(0x15, 'script')) : PINGREQ;
    default:
      return publish5({
        topic: random.onceIn(5) ? '' : topic(random),
        payload: 'p'.repeat(random.pick([0, 1, 10, 200, 5_000])),
        qos,
        retain: random.onceIn(4),
        properties: messageProperties(random),
        ...(qos > 0 && { packetId }),
      });
  }
}

/** @param topic makes a topic or filter, right or wrong. */
export function stream5(random: Random, topic: MakeTopic): Buffer {
  const packets = [opening(random, topic)];
  for (let left = random.below(60); left > 0; left--) {
    const packet = anyPacket(random, topic);
    packets.push(packet);
    if (random.onceIn(4)) packets.push(...new Array<Buffer>(random.below(40)).fill(packet));
  }
  return Buffer.concat(packets);
}
