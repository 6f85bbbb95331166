/** How far a connection has come, why it is not read, and what is said of its end. */

/** Life of a connection. */
export const ConnectionState = {
  /** Nothing but a CONNECT may come, and it must come soon. */
  awaitConnect: 0,
  /** CONNECT has come; its client has been asked by AUTH, and nothing but its answer may come. */
  awaitAuth: 1,
  /** CONNECT has come; it is being authenticated, or its client id is being claimed. */
  connecting: 2,
  open: 3,
  /** DISCONNECT has come; replies are owed that wait for other shards. Nothing is read any more. */
  leaving: 4,
  closed: 5,
} as const;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

/** Why nothing is read from the socket; bits, all of which must go. */
export const Pause = {
  connecting: 1,
  slowReader: 2,
  ringFull: 4,
  quiesced: 8,
  /** Nothing behind a DISCONNECT counts. */
  leaving: 64,
  /** It has had its share of the turn: it is served in turn with others, not polled. */
  turnSpent: 16,
  /** It sends on and does not read the replies. */
  unreadReplies: 32,
  /** A packet of it is handled in parts, and is not done. */
  longPacket: 128,
  /** It has sent more than its rate allows: see rate-limit.ts. */
  overRate: 512,
  /** Memory is about to run out. */
  memory: 1024,
  /** What it publishes cannot be kept on disk now. */
  disk: 2048,
  /** So many replies wait behind one that is owed that no more are to be caused. */
  subackOwed: 256,
} as const;

/** What is told of the end of a connection: `detail` is in words. */
export interface CloseDetails {
  readonly detail?: string;
  readonly [field: string]: unknown;
}
