/**
 * What the clients of a flood send, as fast as their sockets take it. All of it is bytes made
 * beforehand, and every packet is answered with a known number of bytes, so that a flooder does
 * little more than write, and counts what was handled by the length of the answers.
 */
import { encodePacket } from '../../src/protocol/codec.js';
import { PAYLOAD_BYTES_MIN } from './frame-format.js';
import { FrameWriter } from './frame-writer.js';

/** Bytes of a flooder's chunk. */
const CHUNK_BYTES = 64 * 1024;
/** What a flood of topics sends in one write, which a broker may read as one. */
const MATCH_CHUNK_BYTES = 76_000;
const CLIENTS = 20;
/** Topics that each client of `retained` goes through. */
const RETAINED_TOPICS = 1_000;
/** Levels that are either a name or `+` in the filters of `match`: two to the power of it. */
const MATCH_LEVELS = 16;
/** Filters in one SUBSCRIBE. */
const FILTERS_PER_SUBSCRIBE = 1_000;

/** Stands for a part without a flood. */
export const NO_FLOOD = 'none';

/** What one client sends again and again. */
export interface FloodChunk {
  readonly bytes: Buffer;
  readonly packets: number;
  /** What a broker answers to it in all; 0 where it does not answer. */
  readonly answerBytes: number;
  /** Makes it the next one, where they differ. The socket must have taken the last. */
  readonly refresh?: () => void;
}

/** One kind of flood. */
export interface Flood {
  readonly name: string;
  readonly summary: string;
  /** Clients that send, unless the settings say how many. */
  readonly clients: number;
  /** What client `index` sends. */
  chunk(index: number): FloodChunk;
  /** Filters that one more client holds meanwhile, none if absent. */
  readonly heldFilters?: () => Iterable<readonly string[]>;
}

/** PUBLISH packets, small ones: a flood is to be limited by the broker, not by bytes. */
function publishes(
  index: number,
  shape: { qos?: 0 | 1 | 2; retain?: boolean; topicCount: number; topic?: string },
  chunkBytes = CHUNK_BYTES,
): FrameWriter {
  const { qos = 0, retain = false, topicCount, topic = `flood/${index}` } = shape;
  const payloadBytes = PAYLOAD_BYTES_MIN;
  const form = {
    version: 4,
    qos,
    retain,
    topicCount,
    topic,
    payloadBytes,
    userProperties: 0,
  } as const;
  return new FrameWriter({ ...form, publisher: index, window: 0, batch: 0 }, chunkBytes);
}

/** The frames of a writer, new ones each time. */
function everNew(writer: FrameWriter): FloodChunk {
  const refresh = (): void => {
    writer.fill(writer.frames);
  };
  refresh();
  return { bytes: writer.chunk, packets: writer.frames, answerBytes: 0, refresh };
}

/** A stretch of equal or numbered packets of `length` bytes. */
function repeated(length: number, fill: (bytes: Buffer, at: number, index: number) => void) {
  const packets = Math.floor(CHUNK_BYTES / length);
  const bytes = Buffer.alloc(packets * length);
  for (let index = 0; index < packets; index++) fill(bytes, index * length, index);
  return { bytes, packets };
}

/** Acks of one kind for ids from 1 on. @param firstByte such as 0x40 for PUBACK. */
function acks(firstByte: number): { bytes: Buffer; packets: number } {
  return repeated(4, (bytes, at, index) => {
    bytes.writeUInt16BE((firstByte << 8) | 2, at);
    bytes.writeUInt16BE(index + 1, at + 2);
  });
}

/** PUBLISH packets of QoS 0 to 2 on a topic of the client, the same chunk each time. */
function publishing(qos: 0 | 1 | 2): Flood['chunk'] {
  return (index) => {
    const writer = publishes(index, { qos, topicCount: 1 });
    const packets = writer.frames;
    const bytes = writer.chunk.subarray(0, writer.fill(packets));
    if (qos < 2) return { bytes, packets, answerBytes: qos === 0 ? 0 : 4 * packets };
    // Each id is released in the chunk that has used it, so that the chunk can be sent again.
    const releases = acks(0x62).bytes.subarray(0, 4 * packets);
    const all = Buffer.concat([bytes, releases]);
    return { bytes: all, packets: 2 * packets, answerBytes: 8 * packets };
  };
}

/** SUBSCRIBE and UNSUBSCRIBE of one filter in turn. */
function subscribing(index: number): FloodChunk {
  const filter = `flood/${index}/+`;
  const subscriptions = [{ filter, qos: 0 as const }];
  const pair = Buffer.concat([
    encodePacket({ type: 'subscribe', packetId: 1, subscriptions }, 4),
    encodePacket({ type: 'unsubscribe', packetId: 2, filters: [filter] }, 4),
  ]);
  const { bytes, packets } = repeated(pair.length, (all, at) => pair.copy(all, at));
  // SUBACK is 5 bytes, UNSUBACK 4.
  return { bytes, packets: 2 * packets, answerBytes: 9 * packets };
}

/** Topics of which each passes every filter that `match` holds, up to its last level. */
function matching(index: number): FloodChunk {
  const topic = Array(MATCH_LEVELS).fill('a').join('/');
  return everNew(publishes(index, { topicCount: 0, topic }, MATCH_CHUNK_BYTES));
}

/** Every mix of names and `+` in so many levels. */
function* mixedFilters(): Generator<readonly string[]> {
  const count = 2 ** MATCH_LEVELS;
  for (let from = 0; from < count; from += FILTERS_PER_SUBSCRIBE) {
    const length = Math.min(FILTERS_PER_SUBSCRIBE, count - from);
    yield Array.from({ length }, (_, n) => {
      const levels = Array.from({ length: MATCH_LEVELS }, (_level, bit) =>
        ((from + n) >> bit) & 1 ? '+' : 'a',
      );
      return `${levels.join('/')}/last`;
    });
  }
}

/** All floods, in the order of help and reports. */
export const FLOODS: ReadonlyMap<string, Flood> = new Map(
  (
    [
      {
        name: 'qos0',
        summary: '20 publishers of QoS 0, each with a topic of its own that nobody reads',
        clients: CLIENTS,
        chunk: publishing(0),
      },
      { name: 'qos0-3', summary: '3 of them', clients: 3, chunk: publishing(0) },
      {
        name: 'topics',
        summary: '20 publishers of QoS 0, no topic twice',
        clients: CLIENTS,
        chunk: (index) => everNew(publishes(index, { topicCount: 0 })),
      },
      {
        name: 'topics-3',
        summary: '3 of them',
        clients: 3,
        chunk: (index) => everNew(publishes(index, { topicCount: 0 })),
      },
      {
        name: 'qos1',
        summary: '20 publishers of QoS 1',
        clients: CLIENTS,
        chunk: publishing(1),
      },
      {
        name: 'qos2',
        summary: '20 publishers of QoS 2, with their PUBRELs',
        clients: CLIENTS,
        chunk: publishing(2),
      },
      {
        name: 'retained',
        summary: '20 publishers of retained messages on 1,000 topics each',
        clients: CLIENTS,
        chunk: (index) => everNew(publishes(index, { retain: true, topicCount: RETAINED_TOPICS })),
      },
      {
        name: 'pingreq',
        summary: '20 clients that only send PINGREQ',
        clients: CLIENTS,
        chunk() {
          const all = repeated(2, (bytes, at) => bytes.writeUInt16BE(0xc000, at));
          return { ...all, answerBytes: 2 * all.packets };
        },
      },
      {
        name: 'unknown-acks',
        summary: '20 clients that send PUBACKs for nothing',
        clients: CLIENTS,
        chunk: () => ({ ...acks(0x40), answerBytes: 0 }),
      },
      {
        name: 'subscribe',
        summary: '20 clients that subscribe and unsubscribe in turn',
        clients: CLIENTS,
        chunk: subscribing,
      },
      {
        name: 'match',
        summary: '1 publisher of ever new topics of 17 levels, beside 65,536 wildcard filters',
        clients: 1,
        chunk: matching,
        heldFilters: mixedFilters,
      },
    ] satisfies Flood[]
  ).map((flood) => [flood.name, flood]),
);
