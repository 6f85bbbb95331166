/** What a new subscriber is sent as retained: of each topic the last, or one that may be. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Packet } from 'mqtt-packet';
import type { Faults } from './faults.js';
import { Link } from './link.js';
import type { TopicRecord, Topics } from './topics.js';

const FILTER = 'kill/+/keep/#';
/** How long all of it may take to come. */
const DEADLINE_MS = 15_000;
const AGAIN_MS = 10;

const CONNECT: Packet = {
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 4,
  clientId: '',
  clean: true,
  keepalive: 0,
};

/** Whether a value, null for none, is the last completed of a topic or one published later. */
function isAllowed(topic: TopicRecord, completed: number, value: string | null): boolean {
  if (completed === -1 && value === null) return true;
  for (let number = Math.max(0, completed); number < topic.next; number++) {
    if ((topic.clears(number) ? null : topic.payload(number)) === value) return true;
  }
  return false;
}

/** What one connection came to. */
interface Probe {
  /** By topic; null: it was taken away. */
  readonly values: ReadonlyMap<string, string | null>;
  /** All was there, or the time was over: it was not the server that ended it. */
  readonly isDone: boolean;
}

function probe(
  port: number,
  deadline: number,
  isWhole: (values: Probe['values']) => boolean,
  onMalformed: (error: Error) => void,
): Promise<Probe> {
  const values = new Map<string, string | null>();
  let isDone = false;
  return new Promise((resolve) => {
    const end = (): void => {
      isDone = true;
      link.cut();
    };
    const timer = setTimeout(end, Math.max(0, deadline - performance.now()));
    const onPacket = (_: Link, packet: Packet): void => {
      if (packet.cmd === 'connack') {
        const subscriptions = [{ topic: FILTER, qos: 0 as const }];
        link.send({ cmd: 'subscribe', messageId: 1, subscriptions });
      }
      if (packet.cmd === 'publish') {
        const payload = packet.payload.toString();
        values.set(packet.topic, payload === '' ? null : payload);
      }
      // Behind the answer to a ping that was sent when all was here nothing is to follow.
      if (packet.cmd === 'suback') link.send({ cmd: 'pingreq' });
      if (packet.cmd !== 'pingresp') return;
      if (isWhole(values)) end();
      else setTimeout(() => link.send({ cmd: 'pingreq' }), AGAIN_MS);
    };
    const link = new Link(port, 4, {
      onOpen: () => link.send(CONNECT),
      onPacket,
      onMalformed: (_, error) => onMalformed(error),
      onClosed: () => {
        clearTimeout(timer);
        resolve({ values, isDone });
      },
    });
  });
}

/**
 * Subscribes to the retained topics and holds what comes against what was published. Publishers
 * may go on meanwhile. A connection that ends with its shard is made again.
 */
export async function probeRetained(port: number, topics: Topics, faults: Faults): Promise<void> {
  const retained = [...topics.values()].filter(({ retain }) => retain);
  // A value may be any from here on.
  const completed = new Map(retained.map((topic) => [topic, topic.lastCompleted]));
  const isWhole = (values: Probe['values']): boolean =>
    retained.every((topic) =>
      isAllowed(topic, completed.get(topic)!, values.get(topic.name) ?? null),
    );
  const onMalformed = (error: Error): void =>
    faults.add('protocol', `retained messages: ${error.message}`);
  const deadline = performance.now() + DEADLINE_MS;
  let found: Probe;
  do {
    found = await probe(port, deadline, isWhole, onMalformed);
    if (!found.isDone) await delay(AGAIN_MS);
  } while (!found.isDone && performance.now() < deadline);
  for (const topic of retained) {
    const value = found.values.get(topic.name) ?? null;
    const last = completed.get(topic)!;
    if (isAllowed(topic, last, value)) continue;
    const what = value === null ? 'nothing' : value.slice(0, 12);
    const wanted = last >= 0 && topic.clears(last) ? 'nothing' : `${last}`;
    const after = last < 0 ? 'never' : `after kill ${topic.acknowledgedAfter(last)}`;
    const words = `${topic.name} is ${what}, not ${wanted} or later (acknowledged ${after})`;
    faults.add('retained', words);
  }
}
