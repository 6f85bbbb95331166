/** CONNACK of MQTT 5.0 (3.2): what the server tells a client of itself, and why it refuses one. */
import type { Config } from '../base/config.js';
import { FRAME_BYTES_MAX, PACKET_ID_MAX } from '../base/limits.js';
import {
  fitToMaximumPacketSize,
  NO_PROPERTIES,
  type Properties,
  ReasonCode,
  Sender,
} from '../protocol/v5/index.js';
import type { ConnectRequest } from './connect-request.js';
import type { Connection } from './connection.js';
import { reasonStringOf, serverReferenceOf } from './reasons5.js';

/** Frames that accept a client of whom there is nothing special, without and with its session. */
const plainAcceptances = new WeakMap<Config, readonly [Buffer, Buffer]>();

/**
 * The CONNACK that accepts a client. It states what differs from what the client takes for granted.
 * @returns null when it is longer than the client takes.
 */
export function acceptance5(
  connection: Connection,
  request: ConnectRequest,
  sessionPresent: boolean,
): Buffer | null {
  const { maximumPacketSize } = connection;
  const { config } = connection.profile;
  const own = ownProperties(connection, request);
  if (own === NO_PROPERTIES) {
    let frames = plainAcceptances.get(config);
    if (frames === undefined) {
      frames = [acceptanceFrame(config, false), acceptanceFrame(config, true)];
      plainAcceptances.set(config, frames);
    }
    const frame = frames[sessionPresent ? 1 : 0];
    return frame.length <= maximumPacketSize ? frame : null;
  }
  const properties = { ...serverProperties(config), ...own };
  return connackFrame5(maximumPacketSize, sessionPresent, ReasonCode.success, properties);
}

function acceptanceFrame(config: Config, sessionPresent: boolean): Buffer {
  const properties = serverProperties(config);
  return connackFrame5(FRAME_BYTES_MAX, sessionPresent, ReasonCode.success, properties)!;
}

/** What every client is told of the server. */
function serverProperties(config: Config): Properties {
  const { receiveMaximum, topicAliasMaximum, maxQos, retainAvailable } = config;
  return {
    receiveMaximum: receiveMaximum === PACKET_ID_MAX ? undefined : receiveMaximum,
    maximumQos: maxQos === 2 ? undefined : maxQos,
    retainAvailable: retainAvailable ? undefined : false,
    maximumPacketSize: config.maxPacketBytes,
    topicAliasMaximum: topicAliasMaximum === 0 ? undefined : topicAliasMaximum,
  };
}

/** What this one is told besides: NO_PROPERTIES for nothing, as nearly always. */
function ownProperties(connection: Connection, request: ConnectRequest): Properties {
  const { clientId, changed, requestResponseInformation } = request;
  const { enhanced, host } = connection;
  const { responseInformation } = host.config;
  const isInformed = requestResponseInformation && responseInformation !== null;
  if (clientId !== '' && changed === NO_PROPERTIES && enhanced === null && !isInformed) {
    return NO_PROPERTIES;
  }
  return {
    ...changed,
    // [MQTT-3.1.3-7]
    assignedClientIdentifier: clientId === '' ? connection.clientId : undefined,
    // [MQTT-4.12.0-5]
    authenticationMethod: enhanced?.method,
    authenticationData: enhanced?.data,
    responseInformation: isInformed ? responseInformation : undefined,
  };
}

/**
 * The CONNACK that refuses a client.
 * @param reasonCode 0x80 or more, of those that CONNACK may have. @param detail for people.
 * @returns null when it is longer than the client takes.
 */
export function refusal5(
  connection: Connection,
  reasonCode: number,
  detail: string,
): Buffer | null {
  const properties = {
    reasonString: reasonStringOf(detail),
    serverReference: serverReferenceOf(connection, reasonCode),
  };
  return connackFrame5(connection.maximumPacketSize, false, reasonCode, properties);
}

function connackFrame5(
  maximumPacketSize: number,
  sessionPresent: boolean,
  reasonCode: number,
  properties: Properties,
): Buffer | null {
  const packet = { type: 'connack', sessionPresent, reasonCode, properties } as const;
  return fitToMaximumPacketSize(packet, maximumPacketSize, Sender.server);
}
