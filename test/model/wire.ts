/** Packets of the model's clients, in the version that each connection speaks. */
import * as packets from '../support/packets.js';
import * as packets5 from '../support/packets5.js';
import type { Publishing, SubscribedFilter } from './history.js';

/** What a client speaks. */
export type Version = 4 | 5;

/** Seconds after which a message of 5.0 expires: longer than any run takes. */
export const EXPIRY_SECONDS = 1_000;
/** Session Expiry Interval of sessions that are kept. */
const NEVER_EXPIRES = 0xffff_ffff;
const NO_LOCAL = 4;
const RETAIN_HANDLING_SHIFT = 4;

/** What the properties of a PUBLISH say. */
export interface MessageProperties {
  /** Message Expiry Interval, in seconds; null: it has none. */
  readonly expirySeconds: number | null;
  /** Values of its User Properties. */
  readonly names: readonly string[];
  /** Subscription Identifiers. */
  readonly identifiers: readonly number[];
}

const NO_PROPERTIES: MessageProperties = { expirySeconds: null, names: [], identifiers: [] };

/** A PUBLISH that has come. */
export interface Received extends Omit<packets.Message, 'payloadBytes'> {
  readonly properties: MessageProperties;
}

/** Each 5.0 message has its name in a User Property, and expires. */
function messageBlock(name: string): Buffer {
  const { uint32, pair } = packets5.prop;
  return Buffer.concat([uint32(0x02, EXPIRY_SECONDS), pair('n', name)]);
}

interface WillOf {
  readonly message: Publishing;
  readonly topic: string;
  readonly name: string;
}

/** CONNECT; a clean session ends with its connection. */
export function connect(
  version: Version,
  clientId: string,
  isClean: boolean,
  will: WillOf | null,
): Buffer {
  const fields =
    will === null
      ? {}
      : {
          will: {
            topic: will.topic,
            payload: will.message.isEmpty ? '' : will.name,
            qos: will.message.qos,
            retain: will.message.retain,
            ...(version === 5 ? { properties: messageBlock(will.name) } : {}),
          },
        };
  if (version === 4) return packets.connect({ clientId, cleanSession: isClean, ...fields });
  const properties = isClean ? '' : packets5.prop.uint32(0x11, NEVER_EXPIRES);
  return packets5.connect5({ clientId, cleanStart: isClean, properties, ...fields });
}

/** PUBLISH. */
export function publish(
  version: Version,
  { qos, retain, isEmpty, padding }: Publishing,
  topic: string,
  name: string,
  packetId: number,
  dup = false,
): Buffer {
  const payload = isEmpty ? '' : name.padEnd(name.length + padding);
  const fields = { topic, payload, qos, retain, dup, ...(qos > 0 ? { packetId } : {}) };
  if (version === 4) return packets.publish(fields);
  return packets5.publish5({ ...fields, properties: messageBlock(name) });
}

/** SUBSCRIBE. @param identifier of all its filters, in 5.0. */
export function subscribe(
  version: Version,
  packetId: number,
  filters: readonly SubscribedFilter[],
  identifier: number,
): Buffer {
  if (version === 4) {
    const pairs = filters.map(({ filter, qos }): [string, number] => [filter, qos]);
    return packets.subscribe(packetId, ...pairs);
  }
  const wanted = filters.map(({ filter, qos, noLocal, retainHandling }) => {
    const options = qos | (noLocal ? NO_LOCAL : 0) | (retainHandling << RETAIN_HANDLING_SHIFT);
    return [filter, options] as const;
  });
  const block = identifier === 0 ? '' : packets5.prop.varint(0x0b, identifier);
  return packets5.subscribe5(packetId, wanted, block);
}

/** UNSUBSCRIBE. */
export function unsubscribe(version: Version, packetId: number, filters: readonly string[]) {
  if (version === 4) return packets.unsubscribe(packetId, ...filters);
  return packets5.unsubscribe5(packetId, filters);
}

/** The return or reason codes of a SUBACK. */
export function subackCodes(version: Version, packet: Buffer): number[] {
  // In 5.0 behind the length of its properties, which are none where nothing is refused.
  return [...packet.subarray(version === 5 ? 5 : 4)];
}

/** Reads a PUBLISH. */
export function parsePublish(version: Version, packet: Buffer): Received {
  if (version === 4) return { ...packets.parsePublish(packet), properties: NO_PROPERTIES };
  const { block, ...message } = packets5.parsePublish5(packet);
  return { ...message, properties: parseBlock(Buffer.from(block, 'hex')) };
}

/** @throws Error for a property that nobody has sent. */
function parseBlock(block: Buffer): MessageProperties {
  let expirySeconds: number | null = null;
  const names: string[] = [];
  const identifiers: number[] = [];
  for (let at = 0; at < block.length; ) {
    const id = block[at++];
    if (id === 0x02) {
      expirySeconds = block.readUInt32BE(at);
      at += 4;
    } else if (id === 0x26) {
      at += 2 + block.readUInt16BE(at);
      names.push(block.toString('utf8', at + 2, at + 2 + block.readUInt16BE(at)));
      at += 2 + block.readUInt16BE(at);
    } else if (id === 0x0b) {
      let identifier = 0;
      for (let shift = 0, more = true; more; shift += 7) {
        identifier |= (block[at] & 0x7f) << shift;
        more = block[at++] >= 0x80;
      }
      identifiers.push(identifier);
    } else {
      throw new Error(`property ${id}, which nobody has sent`);
    }
  }
  return { expirySeconds, names, identifiers };
}
