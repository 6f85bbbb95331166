/**
 * What was observed of a history: who wrote what, and received what, in the one order in which the
 * test's process saw it. Times are places in that order. An operation took effect between the time
 * it was written and the time it was known to be done.
 */
import type { QoS } from '../support/packets.js';
import type { MessageProperties, Version } from './wire.js';

/** A time that has not come. */
export const NEVER = Number.POSITIVE_INFINITY;

/** What asks for an acknowledgement, and the QoS 0 PUBLISH, which gets none. */
export interface Request {
  readonly kind:
    | 'connect'
    | 'publish0'
    | 'publish'
    | 'pubrel'
    | 'subscribe'
    | 'unsubscribe'
    | 'ping';
  readonly connection: ConnectionRecord;
  readonly packetId: number;
  readonly begin: number;
  /** When its acknowledgement came. */
  acked: number;
}

/** One connection of a client. */
export interface ConnectionRecord {
  readonly slot: number;
  readonly version: Version;
  /** Place among all connections. */
  readonly index: number;
  session: SessionRecord;
  /** The CONNECT is written. */
  readonly begin: number;
  /** The CONNACK has come. */
  accepted: number;
  /** It has ended, or the client has given it up: cut, DISCONNECT, another CONNECT written. */
  ended: number;
  /** Why; `server`: by the server, out of the blue. */
  endedBy: 'client' | 'takeover' | 'server' | 'restart' | null;
  readonly requests: Request[];
  /** Request whose ack came before that of an earlier request: of the same kind, or of any. */
  readonly overtaken: { readonly ack: Request; readonly before: Request }[];
  /** Session present, as the CONNACK says and as it must. */
  sessionPresent: boolean;
  expectsSession: boolean;
}

/** State that the server keeps of a client id, over one connection or several. */
export interface SessionRecord {
  readonly slot: number;
  readonly isClean: boolean;
  readonly connections: ConnectionRecord[];
  readonly deliveries: Delivery[];
  /** QoS 2 packet ids received and not released, with their messages. */
  readonly held: Map<number, string>;
  /** QoS asked for by each SUBSCRIBE. */
  readonly granted: Map<Request, readonly QoS[]>;
  /** By filter, in their order. */
  readonly changes: Map<string, SubscriptionChange[]>;
  /** It ends between these: the CONNECT of a clean one behind it, and its CONNACK. */
  endBegin: number;
  endEnd: number;
}

/** A filter of a SUBSCRIBE or UNSUBSCRIBE. */
export interface SubscriptionChange {
  readonly filter: string;
  /** null: UNSUBSCRIBE. */
  readonly qos: QoS | null;
  readonly noLocal: boolean;
  readonly retainHandling: 0 | 1 | 2;
  /** Subscription Identifier; 0: none. */
  readonly identifier: number;
  readonly request: Request;
}

/** A message that was, or may have been, published. */
export interface Publication {
  readonly name: string;
  readonly kind: 'client' | 'will' | 'server';
  readonly topic: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly isEmpty: boolean;
  /** The client, -1 for the server's; its publications are in the order of `place`. */
  readonly slot: number;
  readonly place: number;
  readonly connection: ConnectionRecord | null;
  /** It has the properties that wire.ts gives those of 5.0. */
  readonly isOf5: boolean;
  /** When it was written, in milliseconds; NaN: not known. */
  readonly wallBegin: number;
  readonly begin: number;
  /** It was published, if at all, before this: acknowledged, or something behind it was. */
  end: number;
  /** As `end`, or it was delivered to anybody, or something behind it was. */
  endBySeen: number;
  /** When it was seen first: delivered to anybody. */
  seen: number;
  /** It was published for certain. */
  isCertain: boolean;
  /** Not acknowledged when the broker was killed, and not sent again. */
  mayBeUndone: boolean;
  /** Of it, or of the last time it was sent. */
  request: Request | null;
  /** That of `place`, or of the last time it was sent. */
  lastPlace: number;
  /** When its client sent it for the last time, with DUP; 0: it was sent once. */
  resentAt: number;
  /** The broker was killed before it was sent again. */
  isResentOverKill: boolean;
}

/** A PUBLISH that a client received. */
export interface Delivery {
  readonly session: SessionRecord;
  readonly connection: ConnectionRecord;
  readonly at: number;
  readonly topic: string;
  readonly publication: Publication;
  readonly payload: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly packetId: number;
  readonly properties: MessageProperties;
  /** When it came, in milliseconds. */
  readonly wallAt: number;
  /** QoS 2 with a packet id that is not released: a client does not take it again. */
  readonly isHeld: boolean;
}

/** A fresh subscriber at the end: what is retained, by topic. */
export type FreshView = ReadonlyMap<string, string>;

/** When a shard was being killed, and the topics whose retained messages died with it. */
export interface Death {
  readonly begin: number;
  readonly end: number;
  readonly ownsTopic: (topic: string) => boolean;
}

/** When the broker was ended and started again. */
export interface Restart {
  readonly isKill: boolean;
  readonly begin: number;
  /** It takes connections again. */
  end: number;
}

/** A line for people. */
export interface EventLine {
  readonly at: number;
  readonly text: string;
}

/** All that was observed of one run of a history. */
export interface RunRecord {
  readonly topics: ReadonlySet<string>;
  readonly connections: readonly ConnectionRecord[];
  readonly sessions: readonly SessionRecord[];
  readonly publications: readonly Publication[];
  readonly fresh: readonly FreshView[];
  readonly deaths: readonly Death[];
  readonly restarts: readonly Restart[];
  readonly lines: readonly EventLine[];
  /** What did not come to an end within the deadline. */
  readonly hangs: readonly string[];
}

/** Something that the reference does not allow. */
export interface Fault {
  readonly rule: string;
  readonly text: string;
}
