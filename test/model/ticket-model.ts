/**
 * Tickets, step by step: how shards that each write one ring and read all others keep "happened
 * before is delivered before". Every shard has one subscriber to the one topic, and clients that
 * publish to it, each publication at any moment. What was acknowledged, or delivered to anybody,
 * before a publication was written happened before it.
 *
 * A shard's turn, where a slash parts atomic operations:
 *
 * ```
 *   read its sockets / load the told count of each other shard, one by one; where something was
 *   read and none has changed since they were caught up with, the rings are left for now /
 *   load the ticket word: T / load the head of each other ring, one by one /
 *   deliver the records up to T that are visible, merged by ticket; leave newer ones; caught up;
 *   handle what was read: deliver it here, put it on the own ring, unseen /
 *   add 1 to the ticket word, stamp what was put / store the own head /
 *   add 1 to the own told count where there is something to write / write acks and deliveries
 * ```
 */
import type { Move, StepModel } from './explore.js';

/** Where the protocol is left. */
export type TicketMutation =
  /** Without tickets: each ring is read to the head that is seen. */
  | 'no tickets'
  /** Records newer than T are not left. */
  | 'no limit'
  /** The heads are loaded before the ticket word. */
  | 'heads before word'
  /** The ticket word is loaded before the sockets are read. */
  | 'word before read'
  /** The flush takes its ticket before what it flushes is read. */
  | 'ticket before read'
  /** Acknowledges before the head is stored. */
  | 'ack before head'
  /** A read is handled though the rings were not drained so far. */
  | 'one record a turn'
  /** The ticket is taken behind the head, and records carry the one before. */
  | 'head before ticket'
  /** The told count grows before the head is stored. */
  | 'told before head'
  /** The told count grows when acks and deliveries are written. */
  | 'out before told'
  /** Only what a shard puts on its own ring counts as told. */
  | 'told by ring only'
  /** The told counts are loaded behind the heads, and count as caught up with. */
  | 'heads before told';

interface Shard {
  at: 'idle' | 'read' | 'told' | 'word' | 'heads' | 'ticket' | 'head' | 'tell' | 'out';
  /** How often it has told anybody outside of something. */
  told: number;
  /** By shard: told counts as loaded, and those that it has caught up with. */
  loaded: number[];
  caughtUp: number[];
  /** Publications written to its sockets. */
  socket: number[];
  reading: number[];
  limit: number;
  /** Heads seen in this turn. */
  seen: number[];
  tails: number[];
  /** Ring: publication and its ticket. */
  ring: [publication: number, ticket: number][];
  head: number;
  stamp: number;
  /** What its subscriber was given, in order; what it has really been sent. */
  delivered: number[];
  sent: number;
  /** To be acknowledged. */
  owed: number[];
}

interface State {
  /** By shard: turns that it may still take for nothing. */
  spare: number[];
  word: number;
  shards: Shard[];
  /** By publication: those that happened before it; null: it has not been written. */
  before: (number[] | null)[];
  /** Acknowledged, or delivered to anybody. */
  done: number[];
}

export interface TicketOptions {
  readonly shards: number;
  /** By publication: the shard that it is written to. */
  readonly publications: readonly number[];
  /** By shard: how many turns it may take though nothing is there. */
  readonly spareTurns: readonly number[];
  readonly mutation?: TicketMutation;
  /** Whether all subscribers must get all in one order, whatever happened before what. */
  readonly oneOrder?: boolean;
  /**
   * A flush says that it is about to take its ticket, and until it has stored its head; who has
   * loaded the ticket word waits until all who say so then are through.
   */
  readonly waitsForFlushes?: boolean;
}

function newShard(shards: number): Shard {
  const none = Array.from({ length: shards }, () => 0);
  return {
    at: 'idle',
    socket: [],
    reading: [],
    limit: 0,
    seen: [],
    tails: none,
    ring: [],
    head: 0,
    stamp: 0,
    delivered: [],
    sent: 0,
    owed: [],
    told: 0,
    loaded: [],
    caughtUp: none,
  };
}

/** Shards and their clients until all is delivered everywhere. */
export function ticketModel(options: TicketOptions): StepModel<State> {
  const { publications, mutation, oneOrder = false, waitsForFlushes = false } = options;

  /** Delivers what other shards have, up to the limit, in the order of tickets. */
  const drain = (state: State, index: number): void => {
    const shard = state.shards[index];
    for (let count = 0; ; count++) {
      if (mutation === 'one record a turn' && count === 1) return;
      let next = -1;
      let least = Number.POSITIVE_INFINITY;
      for (let from = 0; from < state.shards.length; from++) {
        const at = shard.tails[from];
        if (from === index || at >= shard.seen[from]) continue;
        const ticket = mutation === 'no tickets' ? 0 : state.shards[from].ring[at][1];
        const isNewer = ticket > shard.limit && mutation !== 'no limit';
        if (isNewer || ticket >= least) continue;
        least = ticket;
        next = from;
      }
      if (next === -1) return;
      shard.delivered.push(state.shards[next].ring[shard.tails[next]++][0]);
    }
  };

  const handle = (state: State, index: number): void => {
    const shard = state.shards[index];
    // Else nobody has told anything since.
    if (shard.seen.length > 0) {
      drain(state, index);
      shard.caughtUp = shard.loaded;
    }
    shard.loaded = [];
    for (const publication of shard.reading) {
      shard.delivered.push(publication);
      shard.ring.push([publication, shard.stamp]);
      shard.owed.push(publication);
    }
    const hasFlush = shard.reading.length > 0;
    shard.reading = [];
    shard.seen = [];
    shard.limit = 0;
    if (!hasFlush) shard.at = shard.sent < shard.delivered.length ? 'tell' : 'idle';
    else if (mutation === 'ticket before read') shard.at = 'head';
    else if (mutation === 'head before ticket') shard.at = 'head';
    else shard.at = 'ticket';
    if (mutation === 'ack before head') writeOut(state, shard);
  };

  const writeOut = (state: State, shard: Shard): void => {
    const done = new Set([...state.done, ...shard.owed, ...shard.delivered.slice(shard.sent)]);
    state.done = [...done].sort();
    shard.sent = shard.delivered.length;
    shard.owed = [];
  };

  const takeTicket = (state: State, shard: Shard): void => {
    shard.stamp = ++state.word;
    for (let at = shard.head; at < shard.ring.length; at++) shard.ring[at][1] = shard.stamp;
    shard.stamp = 0;
  };

  /** A flush of a peer is between its ticket and its head, or about to take one. */
  const isFlushing = ({ at }: Shard) => at === 'ticket' || at === 'head';

  /** Something is done before the sockets are read that belongs behind it. */
  const isEarly = mutation === 'word before read' || mutation === 'ticket before read';
  const behindTold =
    mutation === 'word before read' || mutation === 'heads before word' ? 'heads' : 'word';

  /** The shards that this one reads, as far as it has: -1 when it is through. */
  const nextPeer = (done: number, index: number, shards: number): number => {
    const peer = done === index ? done + 1 : done;
    return peer < shards ? peer : -1;
  };

  const loadTold = (state: State, index: number) => () => {
    const shard = state.shards[index];
    const from = nextPeer(shard.loaded.length, index, state.shards.length);
    if (from > shard.loaded.length) shard.loaded.push(0);
    shard.loaded.push(state.shards[from].told);
    if (nextPeer(shard.loaded.length, index, state.shards.length) !== -1) return;
    const isNews = shard.loaded.some((count, peer) => count !== (shard.caughtUp[peer] ?? 0));
    // The end of a turn looks in any case.
    if (isNews || shard.reading.length === 0) shard.at = behindTold;
    else handle(state, index);
    if (mutation === 'heads before told') shard.loaded = [];
  };

  const tell = (shard: Shard): void => {
    const hasNews = shard.sent < shard.delivered.length || shard.owed.length > 0;
    const counts = mutation === 'told by ring only' ? shard.owed.length > 0 : hasNews;
    if (counts) shard.told++;
  };

  const readSockets = (shard: Shard) => () => {
    shard.reading = shard.socket;
    shard.socket = [];
    shard.at = 'told';
  };

  const step = (state: State, index: number): (() => void) | null => {
    const shard = state.shards[index];
    switch (shard.at) {
      case 'idle':
        if (!isEarly) return readSockets(shard);
        return () => {
          if (mutation === 'ticket before read') shard.stamp = ++state.word;
          if (mutation === 'word before read') shard.limit = state.word;
          shard.at = 'read';
        };
      case 'read':
        return readSockets(shard);
      case 'word':
        return () => {
          shard.limit = state.word;
          if (mutation === 'heads before word') handle(state, index);
          else shard.at = 'heads';
        };
      case 'told':
        return loadTold(state, index);
      case 'heads': {
        const from = nextPeer(shard.seen.length, index, state.shards.length);
        // What is not visible yet may have a ticket up to the limit.
        if (waitsForFlushes && isFlushing(state.shards[from])) return null;
        return () => {
          if (from > shard.seen.length) shard.seen.push(0);
          shard.seen.push(state.shards[from].head);
          if (nextPeer(shard.seen.length, index, state.shards.length) !== -1) return;
          if (mutation === 'heads before told') shard.loaded = state.shards.map(({ told }) => told);
          if (mutation === 'heads before word') shard.at = 'word';
          else handle(state, index);
        };
      }
      case 'ticket':
        return () => {
          takeTicket(state, shard);
          if (mutation === 'told before head') tell(shard);
          shard.at = mutation === 'head before ticket' ? 'tell' : 'head';
        };
      case 'head':
        return () => {
          if (mutation === 'head before ticket') {
            for (let at = shard.head; at < shard.ring.length; at++) shard.ring[at][1] = state.word;
          }
          shard.head = shard.ring.length;
          shard.at = mutation === 'head before ticket' ? 'ticket' : 'tell';
        };
      case 'tell':
        return () => {
          if (mutation === 'out before told') writeOut(state, shard);
          else if (mutation !== 'told before head') tell(shard);
          shard.at = 'out';
        };
      case 'out':
        return () => {
          shard.stamp = 0;
          if (mutation === 'out before told') shard.told++;
          writeOut(state, shard);
          shard.at = 'idle';
        };
    }
  };

  /** Whether a turn would bring anything. */
  const hasWork = (state: State, index: number): boolean => {
    const shard = state.shards[index];
    return (
      shard.socket.length > 0 ||
      state.shards.some((other, from) => from !== index && other.head > shard.tails[from])
    );
  };

  const moves = (state: State): Move<State>[] => {
    const all: Move<State>[] = [];
    state.shards.forEach((shard, index) => {
      const isSpare = shard.at === 'idle' && !hasWork(state, index);
      if (isSpare && state.spare[index] === 0) return;
      if (step(state, index) === null) return;
      all.push({
        name: `shard ${index}: ${shard.at}`,
        make: (s) => {
          if (isSpare) s.spare[index]--;
          step(s, index)!();
        },
      });
    });
    publications.forEach((to, publication) => {
      if (state.before[publication] !== null) return;
      all.push({
        name: `a client writes ${publication} to shard ${to}`,
        make: (s) => {
          s.before[publication] = [...s.done];
          s.shards[to].socket.push(publication);
        },
      });
    });
    return all;
  };

  const fault = (state: State): string | null => {
    for (const [index, { delivered }] of state.shards.entries()) {
      for (let at = 1; at < delivered.length; at++) {
        const last = delivered[at];
        const wrong = delivered
          .slice(0, at)
          .find((earlier) => state.before[earlier]!.includes(last));
        if (wrong !== undefined) return `shard ${index} delivers ${wrong} before ${last}`;
      }
    }
    if (!oneOrder) return null;
    const [first, ...others] = state.shards.map(({ delivered }) => delivered);
    for (const other of others) {
      const both = first.filter((each) => other.includes(each));
      const same = other.filter((each) => first.includes(each));
      if (both.join() !== same.join()) return 'two subscribers get two publications crosswise';
    }
    return null;
  };

  return {
    initial: {
      spare: [...options.spareTurns],
      word: 0,
      shards: Array.from({ length: options.shards }, () => newShard(options.shards)),
      before: publications.map(() => null),
      done: [],
    },
    moves,
    fault,
    stuck: ({ shards, before }) => {
      const isWhole = shards.every(({ delivered }) => delivered.length === publications.length);
      return isWhole && before.every((each) => each !== null) ? null : 'something is not delivered';
    },
  };
}
