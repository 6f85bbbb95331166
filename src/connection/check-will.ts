/** Whether the Will of a CONNECT is within the bounds of whom its client was let in as. */
import { Counter } from '../base/counters.js';
import type { WillMessage } from '../protocol/packet.js';
import { ReasonCode } from '../protocol/v5/index.js';
import { toTopicKey } from '../topics/topic.js';
import type { Connection } from './connection.js';
import { payloadFault, topicFault } from './publish-limits.js';

/** Why a Will is not taken. */
interface WillFault {
  /** One that CONNACK of 5.0 may have; a 3.x client is told that the server is unavailable. */
  readonly reasonCode: number;
  /** For people. */
  readonly detail: string;
  /** One of Counter, where a bound is counted. */
  readonly counter?: number;
}

/**
 * Refuses a client whose Will is not taken [MQTT-3.2.2-12] [MQTT-3.2.2-13]: nobody would be told
 * later. @returns whether it is taken, or there is none.
 */
export function checkWill(connection: Connection, will: WillMessage | null): boolean {
  const fault = will === null ? undefined : faultOf(connection, will);
  if (fault === undefined) return true;
  const { reasonCode, detail, counter } = fault;
  const { host, clientId } = connection;
  if (counter !== undefined) host.clientLog.limits.note(counter, clientId);
  connection.refuse(reasonCode, detail);
  return false;
}

function faultOf({ profile }: Connection, will: WillMessage): WillFault | undefined {
  const { config, payloadBytesMax } = profile;
  const { qosNotSupported, retainNotSupported, topicNameInvalid, quotaExceeded } = ReasonCode;
  if (will.qos > config.maxQos) {
    const detail = `a will at QoS ${will.qos} is not taken here (maxQos)`;
    return { reasonCode: qosNotSupported, detail };
  }
  if (will.retain && !config.retainAvailable) {
    const detail = 'a will to be retained is not taken here (retainAvailable)';
    return { reasonCode: retainNotSupported, detail };
  }
  const topic = Buffer.from(toTopicKey(will.topic), 'latin1');
  const fault = topicFault(config, topic, 0, topic.length);
  if (fault !== undefined) {
    const counter = Counter.refusedTopics;
    return { reasonCode: topicNameInvalid, detail: `will: ${fault}`, counter };
  }
  const { length } = will.payload;
  if (length <= payloadBytesMax) return undefined;
  const counter = Counter.refusedPayloads;
  return { reasonCode: quotaExceeded, detail: `will: ${payloadFault(length)}`, counter };
}
