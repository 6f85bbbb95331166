/** What CONNECT of MQTT 5.0 carries beside what 3.1.1 has: properties, and those of the will. */
import { NEVER_EXPIRES } from '../base/client-limits.js';
import { PacketType } from '../protocol/packet.js';
import {
  encodeProperties,
  NO_PROPERTIES,
  type Properties,
  type PropertyHolder,
  Sender,
  WILL_PROPERTIES,
} from '../protocol/v5/index.js';

/** Properties of CONNECT that a program chooses [MQTT 5.0, 3.1.2.11]. */
export type ConnectProperties = Pick<
  Properties,
  | 'sessionExpiryInterval'
  | 'receiveMaximum'
  | 'topicAliasMaximum'
  | 'requestResponseInformation'
  | 'requestProblemInformation'
  | 'userProperties'
>;

/** Properties of a will: its delay, and those of the message [MQTT 5.0, 3.1.3.2]. */
export type WillProperties = Pick<
  Properties,
  | 'willDelayInterval'
  | 'payloadFormatIndicator'
  | 'messageExpiryInterval'
  | 'contentType'
  | 'responseTopic'
  | 'correlationData'
  | 'userProperties'
>;

/** Properties whose values the client needs for itself. */
const OF_OPTIONS: readonly (keyof Properties)[] = [
  'maximumPacketSize',
  'authenticationMethod',
  'authenticationData',
];

/**
 * The properties of CONNECT, with what the client adds by itself.
 * @param cleanSession without a Session Expiry Interval: the session ends with the connection, or
 *   never, as in 3.1.1.
 * @param onFault told of what is wrong with them.
 */
export function connectProperties(
  given: ConnectProperties | undefined,
  cleanSession: boolean,
  maximumPacketSize: number,
  topicAliasMaximum: number,
  onFault: (fault: string) => void,
): Properties {
  const chosen = checked('properties', given, PacketType.connect, onFault);
  for (const name of OF_OPTIONS) {
    if (chosen[name] !== undefined) onFault(`option properties.${name}: it is the client's to say`);
  }
  return Object.freeze({
    sessionExpiryInterval: cleanSession ? 0 : NEVER_EXPIRES,
    topicAliasMaximum,
    ...chosen,
    maximumPacketSize,
  });
}

/** The properties of a will. @param onFault told of what is wrong with them. */
export function willProperties(
  given: WillProperties | undefined,
  onFault: (fault: string) => void,
): Properties {
  return checked('will.properties', given, WILL_PROPERTIES, onFault);
}

function checked(
  name: string,
  given: Properties | undefined,
  holder: PropertyHolder,
  onFault: (fault: string) => void,
): Properties {
  if (given === undefined) return NO_PROPERTIES;
  if (typeof given !== 'object' || given === null) {
    onFault(`option ${name} is ${String(given)}; allowed: an object`);
    return NO_PROPERTIES;
  }
  try {
    encodeProperties(given, holder, Sender.client);
  } catch (error) {
    onFault(`option ${name}: ${error instanceof Error ? error.message : String(error)}`);
    return NO_PROPERTIES;
  }
  return Object.freeze({ ...given });
}
