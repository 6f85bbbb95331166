/**
 * SUBSCRIBE and UNSUBSCRIBE of MQTT 5.0 as they come to a server: their filters are checked and
 * read some at a time (../filter-cursor.ts).
 */
import { ProtocolError } from '../../base/errors.js';
import { FilterCursor, type FilterPacket, type FilterRules } from '../filter-cursor.js';
import { PacketType } from '../packet.js';
import type { FieldReader } from './field-reader.js';
import { protocolError } from './fixed-header.js';
import { openFrame } from './open-frame.js';
import type { Properties } from './properties.js';
import { Sender } from './property.js';
import { SHARE_PREFIX } from './share-filter.js';
import { checkSubscriptionOptions, SubscriptionOption } from './subscription-options.js';
import { checkUtf8, Utf8Fault } from './utf8.js';

/** A SUBSCRIBE or UNSUBSCRIBE whose filters are not checked yet. */
export interface FilterPacket5 extends FilterPacket {
  readonly properties: Properties;
}

const SHARE_PREFIX_BYTES = Buffer.from(SHARE_PREFIX);

const SUBSCRIBE_RULES_5: FilterRules = {
  clause: 'MQTT-3.8.3-1',
  checkFilter,
  checkOptions(options, bytes, start, end) {
    if (options < 0) throw new ProtocolError('3.8.3', 'the packet ends before options do');
    const isNoLocal = (options & SubscriptionOption.noLocal) !== 0;
    checkSubscriptionOptions(options, isNoLocal && isShareFilterAt(bytes, start, end));
  },
};

const UNSUBSCRIBE_RULES_5: FilterRules = {
  clause: 'MQTT-3.10.3-1',
  checkFilter,
  checkOptions: null,
};

/** Opens a whole SUBSCRIBE, [start, end) of `buffer`, up to its filters. @throws ProtocolError */
export function openSubscribe5(buffer: Buffer, start: number, end: number): FilterPacket5 {
  const reader = openFrame(buffer, start, end, Sender.client);
  return filterPacket(reader, PacketType.subscribe, SUBSCRIBE_RULES_5, 'MQTT-3.8.3-2');
}

/** Opens a whole UNSUBSCRIBE, [start, end) of `buffer`, up to its filters. @throws ProtocolError */
export function openUnsubscribe5(buffer: Buffer, start: number, end: number): FilterPacket5 {
  const reader = openFrame(buffer, start, end, Sender.client);
  return filterPacket(reader, PacketType.unsubscribe, UNSUBSCRIBE_RULES_5, 'MQTT-3.10.3-2');
}

function filterPacket(
  reader: FieldReader,
  type: typeof PacketType.subscribe | typeof PacketType.unsubscribe,
  rules: FilterRules,
  clause: string,
): FilterPacket5 {
  const packetId = reader.packetId();
  const properties = reader.properties(type);
  if (reader.left === 0) throw protocolError(clause, 'a packet of filters without one');
  const filters = new FilterCursor(reader.buffer, reader.position, reader.end, rules);
  return { packetId, properties, filters };
}

function checkFilter(bytes: Buffer, start: number, end: number): void {
  if (start === end) throw protocolError('MQTT-4.7.3-1', 'topic filter is empty');
  const fault = checkUtf8(bytes, start, end);
  if (fault === Utf8Fault.none) return;
  const clause = fault === Utf8Fault.nul ? 'MQTT-1.5.4-2' : 'MQTT-1.5.4-1';
  const what = fault === Utf8Fault.nul ? 'contains U+0000' : 'is not valid UTF-8';
  throw new ProtocolError(clause, `topic filter ${what}`);
}

function isShareFilterAt(bytes: Buffer, start: number, end: number): boolean {
  const prefixEnd = start + SHARE_PREFIX_BYTES.length;
  if (prefixEnd > end) return false;
  return bytes.compare(SHARE_PREFIX_BYTES, 0, SHARE_PREFIX_BYTES.length, start, prefixEnd) === 0;
}
