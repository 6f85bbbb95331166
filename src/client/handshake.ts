/** CONNECT and CONNACK of every protocol version. */
import { ConnectRefusedError, ProtocolError } from '../base/errors.js';
import { PacketType, type ProtocolVersion } from '../protocol/packet.js';
import { ConnackCode } from '../protocol/return-code.js';
import {
  type ConnackPacket5,
  encodePacket5,
  isErrorCode,
  NO_PROPERTIES,
  type Properties,
  parsePacket5,
  reasonName,
  Sender,
  toConnackCode,
} from '../protocol/v5/index.js';
import type { ClientSettings } from './options.js';
import { connectFrame3, readConnack3 } from './packets3.js';
import { limitsIn, NO_LIMITS, type ServerLimits } from './server-limits.js';

/** Protocol level of CONNECT: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0. */
export type ProtocolLevel = ProtocolVersion | 5;

/** What one connection is to be made with. */
export interface Attempt {
  readonly protocolVersion: ProtocolLevel;
  readonly clientId: string;
  /** The server is to forget the session that it has. */
  readonly isCleanStart: boolean;
}

/** What the server has said in the CONNACK by which it accepts a connection. */
export interface Accepted {
  readonly protocolVersion: ProtocolLevel;
  /** Whether to go on with the session. */
  readonly sessionPresent: boolean;
  /** Of 5.0; none in 3.x. */
  readonly properties: Properties;
  readonly limits: ServerLimits;
  /** Seconds of the longest silence of this client, 0 to 65,535; 0 for no pings. */
  readonly keepAliveSeconds: number;
}

const REFUSALS: Readonly<Record<number, string>> = {
  [ConnackCode.unacceptableProtocolVersion]: 'it does not speak this protocol version',
  [ConnackCode.identifierRejected]: 'it rejects the client id',
  [ConnackCode.serverUnavailable]: 'it is unavailable',
  [ConnackCode.badUserNameOrPassword]: 'bad user name or password',
  [ConnackCode.notAuthorized]: 'not authorized',
};

/** Bytes of a CONNACK of 3.x; in 5.0 it is longer by its Property Length. */
const CONNACK_BYTES_3 = 4;

/** The CONNECT of an attempt. @param authentication properties of enhanced authentication. */
export function connectFrame(
  settings: ClientSettings,
  attempt: Attempt,
  authentication: Properties = NO_PROPERTIES,
): Buffer {
  const { keepAliveSeconds, username, password, will } = settings;
  const { protocolVersion, clientId, isCleanStart } = attempt;
  const common = { type: 'connect', clientId, keepAliveSeconds, username, password } as const;
  if (protocolVersion !== 5) {
    return connectFrame3({ ...common, protocolVersion, cleanSession: isCleanStart, will });
  }
  const { connectProperties, willProperties } = settings;
  return encodePacket5(
    {
      ...common,
      protocolVersion,
      cleanStart: isCleanStart,
      will: will === null ? null : { ...will, properties: willProperties },
      properties: { ...connectProperties, ...authentication },
    },
    Sender.client,
  );
}

/**
 * Reads the CONNACK frame [start, end) of `buffer`.
 * @throws ConnectRefusedError when it refuses; ProtocolError.
 */
export function readConnack(
  buffer: Buffer,
  start: number,
  end: number,
  settings: ClientSettings,
  attempt: Attempt,
): Accepted {
  const { protocolVersion } = attempt;
  // A server that does not speak 5.0 refuses in the words of 3.x.
  const isRefusal3 = end - start === CONNACK_BYTES_3 && buffer[end - 1] !== ConnackCode.accepted;
  if (protocolVersion === 5 && !isRefusal3) {
    const packet = parsePacket5(buffer, start, end, Sender.server);
    return accepted5(packet as ConnackPacket5, settings, attempt);
  }
  const version = protocolVersion === 5 ? 4 : protocolVersion;
  const { returnCode, sessionPresent } = readConnack3(buffer, start, end, version);
  if (returnCode !== ConnackCode.accepted) {
    const why = REFUSALS[returnCode] ?? 'reason unknown';
    const message = `${settings.uri} refuses: ${why} (return code ${returnCode})`;
    throw new ConnectRefusedError(returnCode, message);
  }
  const { cleanSession, keepAliveSeconds } = settings;
  return {
    protocolVersion: version,
    // CONNACK of MQTT 3.1 cannot tell; a session that was asked for is taken to be there.
    sessionPresent: !cleanSession && (version === 3 || sessionPresent),
    properties: NO_PROPERTIES,
    limits: NO_LIMITS,
    keepAliveSeconds,
  };
}

function accepted5(packet: ConnackPacket5, settings: ClientSettings, attempt: Attempt): Accepted {
  const { reasonCode, sessionPresent, properties } = packet;
  const { reasonString, userProperties, serverReference } = properties;
  if (isErrorCode(reasonCode)) {
    const words = reasonString === undefined ? '' : `, '${reasonString}'`;
    const hex = reasonCode.toString(16);
    throw new ConnectRefusedError(
      toConnackCode(reasonCode),
      `${settings.uri} refuses: ${reasonName(reasonCode, PacketType.connack)}${words} (0x${hex})`,
      { reasonCode, reasonString, userProperties, serverReference },
    );
  }
  if (attempt.clientId === '' && properties.assignedClientIdentifier === undefined) {
    throw new ProtocolError('MQTT-3.2.2-16', 'CONNACK without the client id that was asked for');
  }
  if (attempt.isCleanStart && sessionPresent) {
    throw new ProtocolError('MQTT-3.2.2-4', 'CONNACK with a session that was to be forgotten');
  }
  return {
    protocolVersion: 5,
    sessionPresent,
    properties,
    limits: limitsIn(properties),
    keepAliveSeconds: properties.serverKeepAlive ?? settings.keepAliveSeconds,
  };
}
