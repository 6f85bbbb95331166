/** What may be wrong with what is to be sent, and with its answers. */
import { ArgumentError, CapacityError, ProtocolError } from '../base/errors.js';
import { PacketType } from '../protocol/packet.js';

/** Messages that were not published. */
export interface PublishFailure {
  readonly error: unknown;
  /** Topic of a single message, where it is still known. */
  readonly topic: string | null;
  /** Number of messages; more than one where several QoS 0 messages waited for the same write. */
  readonly messages: number;
}

/** Options that are none: a QoS by itself would be passed over in silence. */
export function invalidOptions(options: unknown): ArgumentError {
  return new ArgumentError(
    `the options are ${String(options).slice(0, 80)}; the right way is ` +
      "publish('a', payload, { qos: 1, retain: true })",
  );
}

export function invalidQos(qos: unknown): ArgumentError {
  return new ArgumentError(`QoS ${String(qos)} does not exist: use 0, 1 or 2`);
}

/** A request that is longer than the user wants packets to be. */
export function tooLong(what: string, bytes: number, bytesMax: number): ArgumentError {
  return new ArgumentError(`${what} has ${bytes} bytes; maxOutgoingPacketBytes is ${bytesMax}`);
}

/** Too many messages wait. */
export function queueFull(uri: string, messagesMax: number): CapacityError {
  return new CapacityError(
    `${messagesMax} messages wait for ${uri}: await publish(), or raise maxQueuedMessages`,
  );
}

/** Too many bytes wait for one more message. */
export function bytesFull(
  uri: string,
  waitingBytes: number,
  frameBytes: number,
  bytesMax: number,
): CapacityError {
  return new CapacityError(
    `${waitingBytes} bytes wait for ${uri}, ${frameBytes} more do not fit: await publish(), or ` +
      `raise maxQueuedBytes (${bytesMax})`,
  );
}

/** An answer of a server that nothing waits for, or of the wrong kind. */
export function wrongAnswer(type: number, packetId: number): ProtocolError {
  const name = Object.entries(PacketType).find(([, value]) => value === type)?.[0] ?? String(type);
  return new ProtocolError(
    `3.${type}`,
    `${name.toUpperCase()} with packet id ${packetId}, under which nothing waits for one`,
  );
}
