/** Which version a CONNECT asks for, before anything else of it is read. */
import { uint16At } from './property-find.js';
import { variableByteIntegerEnd } from './variable-byte-integer.js';

const NAME_31 = Buffer.from('MQIsdp');
const NAME = Buffer.from('MQTT');
const LEVEL_31 = 3;
const LEVEL_311 = 4;
const LEVEL_5 = 5;
/** Added to the level by bridges, such as Mosquitto's: 0x83 and 0x84. */
const BRIDGE_BIT = 0x80;

/** What a CONNECT asks for. */
export const ConnectVersion = {
  /** No protocol name and level that belong together: the 3.x codec says what is wrong. */
  other: 0,
  mqtt31: LEVEL_31,
  mqtt311: LEVEL_311,
  mqtt5: LEVEL_5,
  bridge31: BRIDGE_BIT | LEVEL_31,
  bridge311: BRIDGE_BIT | LEVEL_311,
} as const;
export type ConnectVersion = (typeof ConnectVersion)[keyof typeof ConnectVersion];

/**
 * The version that the whole CONNECT frame [start, end) of `buffer` asks for; only its protocol
 * name and level are looked at. Allocates nothing.
 */
export function connectVersionOf(buffer: Buffer, start: number, end: number): ConnectVersion {
  const nameAt = variableByteIntegerEnd(buffer, start + 1, end);
  if (nameAt < 0 || nameAt + 2 > end) return ConnectVersion.other;
  const levelAt = nameAt + 2 + uint16At(buffer, nameAt);
  if (levelAt >= end) return ConnectVersion.other;
  const level = buffer[levelAt];
  const base = level & ~BRIDGE_BIT;
  if (buffer.compare(NAME_31, 0, NAME_31.length, nameAt + 2, levelAt) === 0) {
    return base === LEVEL_31 ? (level as ConnectVersion) : ConnectVersion.other;
  }
  if (buffer.compare(NAME, 0, NAME.length, nameAt + 2, levelAt) !== 0) return ConnectVersion.other;
  if (level === LEVEL_5) return ConnectVersion.mqtt5;
  return base === LEVEL_311 ? (level as ConnectVersion) : ConnectVersion.other;
}
