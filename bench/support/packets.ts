/** Packets that the load generator sends once for each client, and their answers. */
import { limitsIn, NO_LIMITS, type ServerLimits } from '../../src/client/server-limits.js';
import { encodePacket } from '../../src/protocol/codec.js';
import { PacketType } from '../../src/protocol/packet.js';
import { bodyOf } from '../../src/protocol/publish-frame.js';
import {
  type ConnackPacket5,
  encodePacket5,
  isErrorCode,
  NO_PROPERTIES,
  parsePacket5,
  RetainHandling,
  reasonName,
  Sender,
} from '../../src/protocol/v5/index.js';
import type { LoadVersion } from './frame-format.js';
import type { ClientPlan, FilterPlan } from './load-plan.js';

/** Long enough that nobody pings during a run. */
const KEEP_ALIVE_SECONDS = 3_600;
/** Filters in one SUBSCRIBE. */
const FILTERS_PER_SUBSCRIBE = 100;
/** Topics that a client remembers aliases of. */
const TOPIC_ALIAS_MAXIMUM = 1_000;
/** A session that stays for ever [MQTT 5.0, 3.1.2.11.2]. */
const SESSION_EXPIRY_NEVER = 0xffff_ffff;
/** Bytes of a CONNACK of 3.1.1; those of 5.0 have a Property Length too. */
const CONNACK_BYTES = 4;

/** CONNECT, with a clean session unless the client keeps its own. */
export function connectPacket({
  clientId,
  version,
  hasAliases,
  keepsSession,
}: Pick<ClientPlan, 'clientId' | 'version' | 'hasAliases' | 'keepsSession'>): Buffer {
  const common = {
    type: 'connect',
    clientId,
    keepAliveSeconds: KEEP_ALIVE_SECONDS,
    will: null,
    username: null,
    password: null,
  } as const;
  if (version === 4) {
    const cleanSession = !keepsSession;
    return encodePacket({ ...common, protocolVersion: version, cleanSession }, version);
  }
  const properties = {
    ...NO_PROPERTIES,
    ...(hasAliases ? { topicAliasMaximum: TOPIC_ALIAS_MAXIMUM } : {}),
    ...(keepsSession ? { sessionExpiryInterval: SESSION_EXPIRY_NEVER } : {}),
  };
  const packet = { ...common, protocolVersion: version, cleanStart: !keepsSession, properties };
  return encodePacket5(packet, Sender.client);
}

/** What a CONNACK comes to. */
export interface ConnackAnswer {
  /** Null: accepted. */
  readonly refusal: string | null;
  readonly limits: ServerLimits;
}

/** Reads a whole CONNACK. */
export function readConnack(frame: Buffer, version: LoadVersion): ConnackAnswer {
  if (version === 4 || frame.length <= CONNACK_BYTES) {
    const code = frame[CONNACK_BYTES - 1];
    const isOlder = version === 5 && code === 1;
    const refusal = isOlder
      ? 'the broker does not speak MQTT 5.0'
      : `refused with return code ${code}`;
    return { refusal: code === 0 ? null : refusal, limits: NO_LIMITS };
  }
  const packet = parsePacket5(frame, 0, frame.length, Sender.server) as ConnackPacket5;
  const { reasonCode, properties } = packet;
  const refusal = `refused with ${reasonName(reasonCode, PacketType.connack)}`;
  return { refusal: reasonCode === 0 ? null : refusal, limits: limitsIn(properties) };
}

/** Filter `index` of many: a tenth with wildcards, in five shapes. */
export function filterOf(prefix: string, index: number): string {
  if (index % 10 !== 0) return `${prefix}/${index % 977}/device/${index}/temperature`;
  const shapes = [
    `${prefix}/${index}/+/temperature`,
    `+/${prefix}${index}/#`,
    `${prefix}/${index}/line/#`,
    `${prefix}/+/machine${index}/state`,
    `${prefix}/${index % 1_000}/+/${index}/position`,
  ];
  return shapes[(index / 10) % shapes.length];
}

/** The SUBSCRIBE packets for a plan's filters. */
export function* subscribePackets(
  plan: FilterPlan,
  qos: 0 | 1 | 2,
  version: LoadVersion,
): Generator<Buffer> {
  const count = plan.kind === 'one' ? 1 : plan.to - plan.from;
  let packetId = 0;
  for (let at = 0; at < count; at += FILTERS_PER_SUBSCRIBE) {
    const filters = Array.from({ length: Math.min(FILTERS_PER_SUBSCRIBE, count - at) }, (_, n) =>
      plan.kind === 'one' ? plan.filter : filterOf(plan.prefix, plan.from + at + n),
    );
    packetId = packetId === 65_535 ? 1 : packetId + 1;
    yield subscribePacket(packetId, filters, qos, version);
  }
}

function subscribePacket(
  packetId: number,
  filters: readonly string[],
  qos: 0 | 1 | 2,
  version: LoadVersion,
): Buffer {
  if (version === 4) {
    const subscriptions = filters.map((filter) => ({ filter, qos }));
    return encodePacket({ type: 'subscribe', packetId, subscriptions }, version);
  }
  const options = {
    noLocal: false,
    retainAsPublished: false,
    retainHandling: RetainHandling.always,
  };
  const subscriptions = filters.map((filter) => ({ filter, qos, ...options }));
  return encodePacket5(
    { type: 'subscribe', packetId, subscriptions, properties: NO_PROPERTIES },
    Sender.client,
  );
}

/** The packet id of a SUBSCRIBE or SUBACK: it stands behind the remaining length. */
export function subscribePacketId(frame: Buffer): number {
  return frame.readUInt16BE(bodyOf(frame, 0));
}

/**
 * Why PUBACK, PUBREC or PUBCOMP refuses its message; null where it does not.
 * @param frame whole; the reason code stands behind the packet id [MQTT 5.0, 3.4.2.1].
 */
export function ackRefusal(frame: Buffer): string | null {
  const codeAt = bodyOf(frame, 0) + 2;
  if (codeAt >= frame.length || !isErrorCode(frame[codeAt])) return null;
  return `the broker refuses a message: ${reasonName(frame[codeAt])}`;
}
