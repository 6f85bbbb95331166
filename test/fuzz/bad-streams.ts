/** What no client should send: streams that are wrong from the start, and right ones gone wrong. */
import {
  connect,
  DISCONNECT,
  frame,
  PINGREQ,
  packetEnd,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
  subscribe,
  unsubscribe,
} from '../support/packets.js';
import type { Random } from './random.js';
import { stream5 } from './streams5.js';

/** Longest topics, deep ones, wildcards, `$`, empty levels, not UTF-8. */
function topic(random: Random): string | Buffer {
  switch (random.below(9)) {
    case 0:
      return 'bad/'.repeat(random.below(300)) + random.below(10);
    case 1:
      return 'x'.repeat(random.below(65_536));
    case 2:
      return random.pick(['+', '#', 'bad/#', '+/+', '$SYS/a', '/', '//', '', 'a+', '#/a', 'a/+b']);
    case 3:
      return random.bytes(random.below(20));
    default:
      return `bad/${random.below(20)}/${random.below(5)}`;
  }
}

function will(random: Random) {
  return { topic: topic(random), payload: 'gone', qos: random.below(3), retain: random.onceIn(2) };
}

/** A CONNECT that is right but for its topic, perhaps. Client ids are few, so that some meet. */
function opening(random: Random): Buffer {
  return connect({
    clientId: random.onceIn(50) ? 'c'.repeat(65_535) : `bad-${random.below(40)}`,
    level: random.pick([3, 4]),
    cleanSession: !random.onceIn(4),
    keepAlive: random.pick([0, 1, 60]),
    ...(random.onceIn(3) && { will: will(random) }),
    ...(random.onceIn(4) && { username: 'u', password: 'p' }),
  });
}

function anyPacket(random: Random): Buffer {
  const packetId = random.pick([1, 2, 3, random.below(65_536)]);
  const qos = random.below(3);
  switch (random.below(12)) {
    case 0:
      return subscribe(packetId, [topic(random), qos], [topic(random), random.below(3)]);
    case 1:
      return unsubscribe(packetId, topic(random));
    case 2:
      return puback(packetId);
    case 3:
      return pubrec(packetId);
    case 4:
      return pubrel(packetId);
    case 5:
      return pubcomp(packetId);
    case 6:
      return PINGREQ;
    case 7:
      return random.onceIn(8) ? DISCONNECT : PINGREQ;
    default:
      return publish({
        topic: topic(random),
        payload: 'p'.repeat(random.pick([0, 1, 10, 200, 5_000])),
        qos,
        retain: random.onceIn(4),
        dup: qos > 0 && random.onceIn(4),
        ...(qos > 0 && { packetId }),
      });
  }
}

/** A stream as a client might send it, if its topics are all right. */
export function stream(random: Random): Buffer {
  const packets = [opening(random)];
  for (let left = random.below(60); left > 0; left--) {
    const packet = anyPacket(random);
    packets.push(packet);
    // In a row, they are runs and acks together.
    if (random.onceIn(4)) packets.push(...new Array<Buffer>(random.below(40)).fill(packet));
  }
  return Buffer.concat(packets);
}

/** The packets of a stream, as far as it is one. */
function split(bytes: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  let rest = bytes;
  try {
    for (let end = packetEnd(rest); end !== undefined; end = packetEnd(rest)) {
      packets.push(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
  } catch {
    packets.push(rest);
  }
  return packets;
}

/** What may happen to a stream; each returns a stream of its own. */
const MUTATIONS: readonly ((bytes: Buffer, random: Random) => Buffer)[] = [
  (bytes) => bytes,
  function flipBits(bytes, random) {
    const flipped = Buffer.from(bytes);
    for (let left = 1 + random.below(8); left > 0; left--) {
      if (flipped.length > 0) flipped[random.below(flipped.length)] ^= 1 << random.below(8);
    }
    return flipped;
  },
  function cut(bytes, random) {
    return bytes.subarray(0, random.below(bytes.length));
  },
  function leaveOut(bytes, random) {
    const from = random.below(bytes.length);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + 1 + random.below(10))]);
  },
  function shuffle(bytes, random) {
    const packets = split(bytes);
    for (let at = packets.length - 1; at > 0; at--) {
      const other = random.below(at + 1);
      [packets[at], packets[other]] = [packets[other], packets[at]];
    }
    return Buffer.concat(packets);
  },
  function double(bytes, random) {
    return Buffer.concat(
      split(bytes).flatMap((each) => (random.onceIn(3) ? [each, each] : [each])),
    );
  },
  function announceMuch(bytes, random) {
    const header = random.below(256);
    const length = random.pick(['ffffff7f', 'ffffffff7f', 'ffffffffff', '808080807f', '808040']);
    return Buffer.concat([bytes, Buffer.from([header]), Buffer.from(length, 'hex'), bytes]);
  },
  function behindGarbage(bytes, random) {
    return Buffer.concat([random.bytes(1 + random.below(20)), bytes]);
  },
  function beforeGarbage(bytes, random) {
    return Buffer.concat([bytes, random.bytes(random.below(5_000))]);
  },
  function wrongBodies(bytes, random) {
    const packets = [bytes];
    for (let left = random.below(20); left > 0; left--) {
      packets.push(frame(random.below(256), random.bytes(random.below(12))));
    }
    return Buffer.concat(packets);
  },
];

/** A stream that something has happened to, mostly. */
export function badStream(random: Random): Buffer {
  if (random.onceIn(20)) return random.bytes(random.below(3_000));
  const good = random.onceIn(2) ? stream5(random, topic) : stream(random);
  const bytes = random.pick(MUTATIONS)(good, random);
  return random.onceIn(3) && bytes.length > 0 ? random.pick(MUTATIONS)(bytes, random) : bytes;
}
