/** What comes before MQTT, right and gone wrong: PROXY protocol headers, WebSocket. */
import { proxyV1, proxyV2 } from '../support/proxy-headers.js';
import { clientFrame, MALFORMED_FRAMES, upgradeRequest } from '../support/websocket-frames.js';
import { badStream } from './bad-streams.js';
import type { Random } from './random.js';

/** A header of a proxy, mostly right. */
function proxyHeader(random: Random): Buffer {
  switch (random.below(6)) {
    case 0:
      return proxyV1(`198.51.100.${random.below(300)}`, random.below(70_000));
    case 1:
      return Buffer.from(`PROXY UNKNOWN${random.pick(['', ' a b c', 'x'.repeat(90)])}\r\n`);
    case 2:
      return proxyV2(0x20, random.below(256), random.bytes(random.below(40)));
    case 3:
      return proxyV2(0x21, random.pick([0x11, 0x21, 0x31, 0]), random.bytes(random.below(5_000)));
    default:
      return proxyV2(0x21, 0x11, random.bytes(12 + random.below(20)));
  }
}

/** Bytes of MQTT in frames of any length, with others between them. */
function frames(random: Random, bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  let isInMessage = false;
  for (let at = 0; at < bytes.length; ) {
    const length = random.pick([random.below(10), random.below(200), random.below(70_000)]);
    const isLast = !random.onceIn(4);
    const opcode = isInMessage ? 0x00 : 0x02;
    const first = opcode | (isLast ? 0x80 : 0);
    parts.push(clientFrame(bytes.subarray(at, at + length), first, random.below(2 ** 31)));
    isInMessage = !isLast;
    at += length;
    if (random.onceIn(5)) {
      const pings = random.onceIn(20) ? 2_000 : 1;
      const ping = clientFrame(random.bytes(random.below(126)), random.pick([0x89, 0x8a]));
      for (let n = 0; n < pings; n++) parts.push(ping);
    }
    if (random.onceIn(30)) parts.push(random.pick(MALFORMED_FRAMES)[1]);
    if (random.onceIn(60)) parts.push(clientFrame(random.bytes(random.below(6)), 0x88));
  }
  return Buffer.concat(parts);
}

function request(random: Random): string {
  const changes: Record<string, string | null> = {};
  if (random.onceIn(10)) changes.Upgrade = random.pick(['h2c', null, 'websocket, x']);
  if (random.onceIn(10)) changes.Origin = random.pick(['null', 'https://a.example', '\x1b[31m']);
  if (random.onceIn(10)) changes['X-Long'] = 'x'.repeat(random.below(20_000));
  if (random.onceIn(10)) changes['Sec-WebSocket-Protocol'] = random.pick(['mqttv3.1', 'x', null]);
  return upgradeRequest(changes, random.onceIn(20) ? 'POST /mqtt HTTP/1.1' : undefined);
}

/** A stream for a WebSocket listener, with the header of a proxy in front if it is one's. */
export function edgeStream(random: Random, isProxied: boolean): Buffer {
  const parts: Buffer[] = [];
  if (isProxied && !random.onceIn(10)) parts.push(proxyHeader(random));
  if (!random.onceIn(20)) parts.push(Buffer.from(request(random), 'latin1'));
  const mqtt = badStream(random);
  parts.push(random.onceIn(10) ? mqtt : frames(random, mqtt));
  const stream = Buffer.concat(parts);
  if (random.onceIn(2)) return stream;
  for (let flips = 1 + random.below(3); flips > 0 && stream.length > 0; flips--) {
    // Where headers are, mostly.
    const at = random.below(random.onceIn(2) ? Math.min(stream.length, 300) : stream.length);
    stream[at] = random.onceIn(2) ? random.below(256) : stream[at] ^ (1 << random.below(8));
  }
  return random.onceIn(4) ? stream.subarray(0, random.below(stream.length + 1)) : stream;
}
