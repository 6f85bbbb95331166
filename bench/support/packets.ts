/** Packets that the load generator sends once for each client. */
import { encodePacket } from '../../src/protocol/codec.js';
import type { FilterPlan } from './load-plan.js';

/** Long enough that nobody pings during a run. */
const KEEP_ALIVE_SECONDS = 3_600;
/** Filters in one SUBSCRIBE. */
const FILTERS_PER_SUBSCRIBE = 100;

/** CONNECT with a clean session. */
export function connectPacket(clientId: string): Buffer {
  return encodePacket(
    {
      type: 'connect',
      protocolVersion: 4,
      clientId,
      cleanSession: true,
      keepAliveSeconds: KEEP_ALIVE_SECONDS,
      will: null,
      username: null,
      password: null,
    },
    4,
  );
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
export function* subscribePackets(plan: FilterPlan, qos: 0 | 1 | 2): Generator<Buffer> {
  const count = plan.kind === 'one' ? 1 : plan.to - plan.from;
  let packetId = 0;
  for (let at = 0; at < count; at += FILTERS_PER_SUBSCRIBE) {
    const subscriptions = Array.from(
      { length: Math.min(FILTERS_PER_SUBSCRIBE, count - at) },
      (_, n) => ({
        filter: plan.kind === 'one' ? plan.filter : filterOf(plan.prefix, plan.from + at + n),
        qos,
      }),
    );
    packetId = packetId === 65_535 ? 1 : packetId + 1;
    yield encodePacket({ type: 'subscribe', packetId, subscriptions }, 4);
  }
}

/** The packet id of a SUBSCRIBE or SUBACK: it stands behind the remaining length. */
export function subscribePacketId(frame: Buffer): number {
  let at = 1;
  while (frame[at]! >= 0x80) at++;
  return frame.readUInt16BE(at + 1);
}
