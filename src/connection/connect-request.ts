/** What a CONNECT asks for, whichever version it is of: what the floors above the packets know. */
import type { Config } from '../base/config.js';
import { FRAME_BYTES_MAX, PACKET_ID_MAX } from '../base/limits.js';
import type { ConnectPacket, ProtocolVersion } from '../protocol/packet.js';
import {
  type ConnectPacket5,
  NO_PROPERTIES,
  type Properties,
  type UserProperty,
} from '../protocol/v5/index.js';
import type { Will } from '../sessions/will.js';

/** Session Expiry Interval of a session that does not expire [MQTT 5.0, 3.1.2.11.2]. */
const NEVER_SECONDS = 0xffff_ffff;

/**
 * One CONNECT, as far as the server's settings let it have its way. What only 5.0 can say has the
 * value that a 5.0 client means by saying nothing.
 */
export interface ConnectRequest {
  readonly protocolVersion: ProtocolVersion;
  /** A 3.x client that says by its protocol level that it is another server. */
  readonly isBridge: boolean;
  /** Empty: the server assigns one [MQTT-3.1.3-6]. */
  readonly clientId: string;
  /** What is kept of this client id is discarded [MQTT-3.1.2-4]; in 3.x that is clean session 1. */
  readonly cleanStart: boolean;
  /**
   * How long the session outlives its connection, in milliseconds: 0 ends with it, Infinity never
   * ends.
   */
  readonly sessionExpiryMs: number;
  /** 0 to 65,535; 0 turns keep alive off. */
  readonly keepAliveSeconds: number;
  readonly will: Will | null;
  readonly username: string | null;
  readonly password: Buffer | null;
  /** QoS 1 and 2 deliveries that the client takes at a time, 1 to 65,535. */
  readonly receiveMaximum: number;
  /** Longest frame that the client takes, in bytes, 1 to FRAME_BYTES_MAX. */
  readonly maximumPacketSize: number;
  /** Topic Aliases that the client knows, 0 to 65,535. */
  readonly topicAliasMaximum: number;
  /** Whether Reason Strings and User Properties are wanted with answers [MQTT-3.1.2-29]. */
  readonly requestProblemInformation: boolean;
  readonly requestResponseInformation: boolean;
  readonly authenticationMethod: string | null;
  readonly authenticationData: Buffer | null;
  readonly userProperties: readonly UserProperty[];
  /** What the server has decided otherwise than the client asked for, which is to be told so. */
  readonly changed: Properties;
}

const NO_USER_PROPERTIES: readonly UserProperty[] = Object.freeze([]);

/** What a CONNECT of MQTT 3.1 or 3.1.1 asks for. */
export function requestOf(packet: ConnectPacket, config: Config): ConnectRequest {
  const { cleanSession, protocolVersion, clientId, keepAliveSeconds } = packet;
  const { will, username, password } = packet;
  const expiryMs = Math.min(limitOf(config.sessionExpiryMs), limitOf(config.maxSessionExpiryMs));
  return {
    protocolVersion,
    isBridge: packet.isBridge ?? false,
    clientId,
    cleanStart: cleanSession,
    sessionExpiryMs: cleanSession ? 0 : expiryMs,
    keepAliveSeconds,
    will,
    username,
    password,
    receiveMaximum: PACKET_ID_MAX,
    maximumPacketSize: FRAME_BYTES_MAX,
    topicAliasMaximum: 0,
    requestProblemInformation: true,
    requestResponseInformation: false,
    authenticationMethod: null,
    authenticationData: null,
    userProperties: NO_USER_PROPERTIES,
    changed: NO_PROPERTIES,
  };
}

/** What a CONNECT of MQTT 5.0 asks for. */
export function requestOf5(packet: ConnectPacket5, config: Config): ConnectRequest {
  const { cleanStart, protocolVersion, clientId, properties } = packet;
  const { will, username, password } = packet;
  const wantedSeconds = properties.sessionExpiryInterval ?? 0;
  const expirySeconds = allowedExpiry(wantedSeconds, config);
  const { maxKeepAliveSeconds } = config;
  const isKeepAliveTooLong = exceeds(packet.keepAliveSeconds, maxKeepAliveSeconds);
  const keepAliveSeconds = isKeepAliveTooLong ? maxKeepAliveSeconds : packet.keepAliveSeconds;
  return {
    protocolVersion,
    isBridge: false,
    clientId,
    cleanStart,
    sessionExpiryMs: expiryMsOf(expirySeconds),
    keepAliveSeconds,
    will,
    username,
    password,
    receiveMaximum: properties.receiveMaximum ?? PACKET_ID_MAX,
    maximumPacketSize: Math.min(properties.maximumPacketSize ?? FRAME_BYTES_MAX, FRAME_BYTES_MAX),
    topicAliasMaximum: properties.topicAliasMaximum ?? 0,
    requestProblemInformation: properties.requestProblemInformation ?? true,
    requestResponseInformation: properties.requestResponseInformation ?? false,
    authenticationMethod: properties.authenticationMethod ?? null,
    authenticationData: properties.authenticationData ?? null,
    userProperties: properties.userProperties ?? NO_USER_PROPERTIES,
    changed:
      isKeepAliveTooLong || expirySeconds !== wantedSeconds
        ? {
            // [MQTT-3.2.2-21]
            serverKeepAlive: isKeepAliveTooLong ? keepAliveSeconds : undefined,
            sessionExpiryInterval: expirySeconds === wantedSeconds ? undefined : expirySeconds,
          }
        : NO_PROPERTIES,
  };
}

/** Whether a keep alive is longer than the setting allows: none is longer than any. */
export function exceeds(keepAliveSeconds: number, maxKeepAliveSeconds: number): boolean {
  if (maxKeepAliveSeconds === 0) return false;
  return keepAliveSeconds === 0 || keepAliveSeconds > maxKeepAliveSeconds;
}

/** A setting whose 0 is no limit. */
function limitOf(milliseconds: number): number {
  return milliseconds === 0 ? Number.POSITIVE_INFINITY : milliseconds;
}

/** The Session Expiry Interval that a client gets which asks for `seconds`. */
export function allowedExpiry(seconds: number, { maxSessionExpiryMs }: Config): number {
  if (maxSessionExpiryMs === 0) return seconds;
  return Math.min(seconds, Math.max(1, Math.floor(maxSessionExpiryMs / 1_000)));
}

/** A Session Expiry Interval in milliseconds; Infinity: never. */
export function expiryMsOf(seconds: number): number {
  return seconds === NEVER_SECONDS ? Number.POSITIVE_INFINITY : seconds * 1_000;
}
