/** The bounds of the client library, with the reason for each value; `limits.ts` exports them. */
import { invariant } from './assert.js';
import type { NumberSetting } from './limits.js';

const KIB = 1024;
const MIB = 1024 * KIB;
/** Longest packet that MQTT can say: a fixed header of 5 bytes and the longest remaining length. */
const PACKET_BYTES_MAX = 5 + 268_435_455;

/**
 * Frames of one turn go out in one write; a batch that reaches this is written before the turn
 * ends.
 */
export const CLIENT_BATCH_BYTES = 64 * KIB;
/** First size of a client's batch buffer: a quiet client, one of thousands, never needs more. */
export const CLIENT_BATCH_BYTES_MIN = 4 * KIB;
/**
 * Bytes a publisher may put out in one turn before its promises wait for the end of the turn: a
 * loop that awaits each publish would otherwise never let the event loop read acks and pings.
 */
export const CLIENT_TURN_BYTES = 256 * KIB;
/**
 * Bytes waiting for the socket above which QoS 0 promises wait: the backpressure of `await
 * publish()`.
 */
export const CLIENT_WRITE_HIGH_MARK = 256 * KIB;
/** Topics a client remembers with their encoding, and topics with their handlers. */
export const CLIENT_TOPICS_CACHED = 1_024;
/**
 * Payloads handed to handlers are views of copies of this size: what is kept pins no more than
 * that.
 */
export const CLIENT_MESSAGE_SLICE_BYTES = 8 * KIB;
/** Handlers' promises not settled above which reading pauses. */
export const CLIENT_HANDLERS_PENDING_MAX = 1_024;
/**
 * Reading must go on while a call waits for an answer that may stand behind the messages. Queues
 * that are full then grow to this many times their bound, and QoS 0 messages beyond are dropped and
 * counted.
 */
export const CLIENT_OVERFLOW_FACTOR = 16;
/**
 * Messages kept for a program that has no handler, iterator or 'message' listener yet, and bytes of
 * their payloads. With so many reading pauses; while a call waits for an answer it goes on, up to
 * CLIENT_OVERFLOW_FACTOR times as many. Of those beyond QoS 0 is dropped and counted, QoS 1 and 2
 * is left unacknowledged with the server, which sends it again: a client that only publishes never
 * stops, and never grows.
 */
export const CLIENT_UNCLAIMED_MESSAGES = 1_024;
export const CLIENT_UNCLAIMED_BYTES = MIB;
/**
 * Connections that may end on a packet before it is not sent again. One says little: networks fail.
 * Servers answer by closing what is too large for them, or not allowed.
 */
export const CLIENT_STRIKES_MAX = 2;
/** Acks for a server that does not read: a million of them, and then it is cut off. */
export const CLIENT_UNREAD_ACKS_BYTES = 4 * MIB;
/**
 * How long a client that sent DISCONNECT waits for the server to close, before it destroys the
 * socket.
 */
export const CLIENT_LINGER_MS = 2_000;
/**
 * Filters in one SUBSCRIBE when subscriptions are made again: some servers limit the packet to 64
 * KiB.
 */
export const CLIENT_FILTERS_PER_SUBSCRIBE = 100;
/**
 * Longest WebSocket message that is put together from its frames, unless packets may be longer: a
 * server may put many packets into one.
 */
export const CLIENT_WS_MESSAGE_BYTES = MIB;
/**
 * In a browser, which reads whatever comes: bytes kept while nothing is to be read, before the
 * connection is given up.
 */
export const CLIENT_WS_HELD_BYTES = 64 * MIB;
/** Bytes that a browser may have to send and counts as sent: a kernel's buffer holds as much. */
export const CLIENT_WS_SLACK_BYTES = 64 * KIB;
/** How often a browser that has more to send is looked at: it has no event for it. */
export const CLIENT_WS_POLL_MS = 5;
/** Session Expiry Interval of a session that is kept for ever [MQTT 5.0, 3.1.2.11.2]. */
export const NEVER_EXPIRES = 0xff_ff_ff_ff;
/** Topic aliases that a server may give: each keeps a topic of up to 64 KiB for a connection. */
export const CLIENT_TOPIC_ALIASES = 64;
/** Requests of a client that wait for their replies, each a promise and a timer. */
export const CLIENT_REQUESTS_MAX = 1_024;
/** Defaults and ranges of the client's numeric options. */
export const CLIENT_SETTINGS = {
  keepAliveSeconds: { default: 60, min: 0, max: 65_535 },
  connectTimeoutMs: { default: 10_000, min: 1, max: 600_000 },
  ackTimeoutMs: { default: 20_000, min: 1, max: 3_600_000 },
  /**
   * Larger than a server's default: a client may be sent whatever others were allowed to publish.
   */
  maxPacketBytes: { default: 16 * MIB, min: 128, max: PACKET_BYTES_MAX },
  /** As much as MQTT can say: what the server takes is its own setting, and unknown here. */
  maxOutgoingPacketBytes: {
    default: PACKET_BYTES_MAX,
    min: 128,
    max: PACKET_BYTES_MAX,
  },
  /** Leaves half of the ids that may be in use at once (32,768) to SUBSCRIBE and UNSUBSCRIBE. */
  maxInflight: { default: 1_024, min: 1, max: 16_384 },
  /**
   * Mosquitto (2.0.11, default max_inflight_messages 20) acknowledges and loses QoS 1 messages that
   * it receives while 20 QoS 2 messages of the same client have not been released.
   */
  maxInflightQos2: { default: 16, min: 1, max: 16_384 },
  /** As many as a server may give (CLIENT_TOPIC_ALIASES), and as many as the protocol can say. */
  maxTopicAliases: { default: CLIENT_TOPIC_ALIASES, min: 0, max: 65_535 },
  maxQueuedMessages: { default: 100_000, min: 0, max: 100_000_000 },
  maxQueuedBytes: { default: 64 * MIB, min: 0, max: 64 * 1024 * MIB },
  highWaterMark: { default: 1_024, min: 1, max: 1_000_000 },
  reconnectMinDelayMs: { default: 250, min: 1, max: 3_600_000 },
  reconnectMaxDelayMs: { default: 30_000, min: 1, max: 3_600_000 },
} as const satisfies Record<string, NumberSetting>;

invariant(
  CLIENT_BATCH_BYTES <= CLIENT_TURN_BYTES,
  'a publisher may fill a batch before it has to wait',
);
