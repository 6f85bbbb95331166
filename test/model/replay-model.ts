/**
 * A subscription and its retained value, step by step, with tickets. Shard 0 has a publisher of one
 * retained topic, shard 1 owns it, shard 2 has the subscriber, and another one of the same filter
 * that leaves: who routes what to shard 2 changes while the value changes. The turn is that of
 * ticket-model.ts in fewer steps, as it is proved there: sockets are read and the word is loaded /
 * heads are loaded, records and what was read are handled / ticket and head / acks.
 *
 * A value is its number, and a higher one is newer. Value 0 was retained before all this.
 */
import type { Move, StepModel } from './explore.js';

/** How the subscriber's shard tells whether an answer is older than what has come live. */
export type ReplayVariant =
  /** By the ticket that the value had when the owner got it. */
  | 'tickets'
  /** Whatever has come live since the SUBSCRIBE is taken for newer. */
  | 'live is newer'
  /** By tickets, but asked with the SUBSCRIBE and not behind the confirmations. */
  | 'asked at once'
  /** Nothing is dropped. */
  | 'nothing is dropped';

type Kind = 'run' | 'add' | 'remove' | 'confirm' | 'query' | 'answer';
/** `value` of a run and an answer; `valueTicket` of an answer. */
type Entry = [kind: Kind, value: number, ticket: number, mask: number, valueTicket: number];

interface Shard {
  at: 'idle' | 'handle' | 'flush' | 'out';
  socket: string[];
  reading: string[];
  limit: number;
  seen: number[];
  tails: number[];
  ring: Entry[];
  head: number;
}

interface State {
  word: number;
  shards: Shard[];
  published: number;
  acked: number;
  owed: number;
  /** Whether shard 0 routes to shard 2. */
  isRouted: boolean;
  stored: number;
  storedTicket: number;
  /** Subscribers on shard 2. */
  hasOther: boolean;
  hasOtherLeft: boolean;
  isSubscribed: boolean;
  hasAsked: boolean;
  /** Values acknowledged when the SUBSCRIBE was written. */
  ackedBefore: number;
  unconfirmed: number;
  isWaiting: boolean;
  /** Ticket of the last that came live, -1: none. */
  liveTicket: number;
  /** What the subscriber got: a live value as it is, a replayed one as -1 - value. */
  got: number[];
}

const PUBLISHER = 0;
const OWNER = 1;
const SUBSCRIBER = 2;
const ALL_BUT_SUBSCRIBER = 0b011;

/**
 * Forgets what makes no difference any more: records that all have read, and by how much tickets
 * differ.
 */
function normalize(state: State): void {
  const { shards } = state;
  shards.forEach((shard, index) => {
    const readBy = shards.filter((_, from) => from !== index).map(({ tails }) => tails[index]);
    const read = Math.min(...readBy);
    shard.ring.splice(0, read);
    shard.head -= read;
    for (const other of shards) if (other !== shard) other.tails[index] -= read;
  });
  const entries = shards.flatMap(({ ring }) => ring);
  const limits = shards.map(({ limit }) => limit);
  const inUse = entries.flatMap(([, , ticket, , valueTicket]) => [ticket, valueTicket]);
  const words = [state.word, state.storedTicket, state.liveTicket, ...limits, ...inUse];
  const ranks = [...new Set(words.filter((word) => word > 0))].sort((a, b) => a - b);
  const rankOf = (word: number) => (word > 0 ? 1 + ranks.indexOf(word) : word);
  for (const entry of entries) {
    entry[2] = rankOf(entry[2]);
    entry[4] = rankOf(entry[4]);
  }
  for (const shard of shards) shard.limit = rankOf(shard.limit);
  state.word = rankOf(state.word);
  state.storedTicket = rankOf(state.storedTicket);
  state.liveTicket = rankOf(state.liveTicket);
}

export interface ReplayOptions {
  /** How many are published behind the first. */
  readonly values: number;
  readonly variant: ReplayVariant;
}

/** Publisher, owner and subscriber until all has come. */
export function replayModel(options: ReplayOptions): StepModel<State> {
  const { values, variant } = options;

  const put = (state: State, shard: number, kind: Kind, value: number, mask: number): void => {
    const valueTicket = kind === 'answer' ? state.storedTicket : 0;
    state.shards[shard].ring.push([kind, value, 0, mask, valueTicket]);
  };

  const ask = (state: State): void => put(state, SUBSCRIBER, 'query', 0, 1 << OWNER);

  const announce = (state: State, kind: 'add' | 'remove'): void => {
    put(state, SUBSCRIBER, kind, 0, ALL_BUT_SUBSCRIBER);
    state.unconfirmed += 2;
  };

  const onRecord = (state: State, shard: number, entry: Entry): void => {
    const [kind, value, ticket, , valueTicket] = entry;
    switch (kind) {
      case 'run':
        if (shard === OWNER) {
          state.stored = value;
          state.storedTicket = ticket;
        } else if (state.isSubscribed) {
          state.liveTicket = ticket;
          state.got.push(value);
        }
        return;
      case 'add':
      case 'remove':
        if (shard === PUBLISHER) state.isRouted = kind === 'add';
        put(state, shard, 'confirm', 0, 1 << SUBSCRIBER);
        return;
      case 'confirm':
        state.unconfirmed--;
        if (state.unconfirmed > 0 || !state.isWaiting) return;
        state.isWaiting = false;
        if (variant !== 'asked at once') ask(state);
        return;
      case 'query':
        put(state, OWNER, 'answer', state.stored, 1 << SUBSCRIBER);
        return;
      case 'answer': {
        const isOlder = state.liveTicket >= valueTicket;
        const hasLive = state.liveTicket >= 0;
        const isDropped = variant === 'live is newer' ? hasLive : hasLive && isOlder;
        if (!isDropped || variant === 'nothing is dropped') state.got.push(-1 - value);
      }
    }
  };

  const onPacket = (state: State, packet: string): void => {
    if (packet === 'publish') {
      state.published++;
      const mask = (1 << OWNER) | (state.isRouted ? 1 << SUBSCRIBER : 0);
      put(state, PUBLISHER, 'run', state.published, mask);
      state.owed = state.published;
    } else if (packet === 'unsubscribe') {
      state.hasOther = false;
      if (!state.isSubscribed) announce(state, 'remove');
    } else {
      state.isSubscribed = true;
      if (!state.hasOther) announce(state, 'add');
      state.isWaiting = state.unconfirmed > 0;
      if (!state.isWaiting || variant === 'asked at once') ask(state);
    }
  };

  /** Records up to the limit, in the order of tickets. */
  const drain = (state: State, index: number): void => {
    const shard = state.shards[index];
    for (;;) {
      let next = -1;
      let least = shard.limit + 1;
      for (let from = 0; from < state.shards.length; from++) {
        const at = shard.tails[from];
        if (from === index || at >= shard.seen[from]) continue;
        const ticket = state.shards[from].ring[at][2];
        if (ticket >= least) continue;
        least = ticket;
        next = from;
      }
      if (next === -1) return;
      const entry = state.shards[next].ring[shard.tails[next]++];
      if (((entry[3] >> index) & 1) === 1) onRecord(state, index, entry);
    }
  };

  const step = (state: State, index: number): void => {
    const shard = state.shards[index];
    switch (shard.at) {
      case 'idle':
        shard.reading = shard.socket;
        shard.socket = [];
        shard.limit = state.word;
        shard.at = 'handle';
        return;
      case 'handle':
        shard.seen = state.shards.map(({ head }) => head);
        drain(state, index);
        for (const packet of shard.reading) onPacket(state, packet);
        shard.reading = [];
        shard.seen = [];
        normalize(state);
        shard.limit = 0;
        shard.at = shard.ring.length > shard.head ? 'flush' : 'idle';
        return;
      case 'flush':
        state.word++;
        for (let at = shard.head; at < shard.ring.length; at++) shard.ring[at][2] = state.word;
        shard.head = shard.ring.length;
        shard.at = index === PUBLISHER && state.owed > state.acked ? 'out' : 'idle';
        return;
      case 'out':
        state.acked = state.owed;
        shard.at = 'idle';
    }
  };

  const hasWork = (state: State, index: number): boolean => {
    const { socket, tails } = state.shards[index];
    const isBehind = (other: Shard, from: number) => from !== index && other.head > tails[from];
    return socket.length > 0 || state.shards.some(isBehind);
  };

  const clientMoves = (state: State): Move<State>[] => {
    const all: Move<State>[] = [];
    const { shards, published, acked } = state;
    const isQuiet = shards[PUBLISHER].socket.length + shards[PUBLISHER].reading.length === 0;
    if (published < values && acked === published && isQuiet) {
      const make = (s: State) => s.shards[PUBLISHER].socket.push('publish');
      all.push({ name: 'PUBLISH', make });
    }
    if (!state.hasOtherLeft) {
      const make = (s: State) => {
        s.hasOtherLeft = true;
        s.shards[SUBSCRIBER].socket.push('unsubscribe');
      };
      all.push({ name: 'the other one: UNSUBSCRIBE', make });
    }
    if (!state.hasAsked) {
      const make = (s: State) => {
        s.hasAsked = true;
        s.ackedBefore = s.acked;
        s.shards[SUBSCRIBER].socket.push('subscribe');
      };
      all.push({ name: 'SUBSCRIBE', make });
    }
    return all;
  };

  return {
    initial: {
      word: 0,
      shards: [0, 1, 2].map((): Shard => {
        const queues = { socket: [], reading: [], seen: [], ring: [] };
        return { at: 'idle', ...queues, limit: 0, tails: [0, 0, 0], head: 0 };
      }),
      published: 0,
      acked: 0,
      owed: 0,
      isRouted: true,
      stored: 0,
      storedTicket: 0,
      hasOther: true,
      hasOtherLeft: false,
      isSubscribed: false,
      hasAsked: false,
      ackedBefore: 0,
      unconfirmed: 0,
      isWaiting: false,
      liveTicket: -1,
      got: [],
    },
    moves: (state) => [
      ...state.shards.flatMap(({ at }, index): Move<State>[] => {
        if (at === 'idle' && !hasWork(state, index)) return [];
        return [{ name: `shard ${index}: ${at}`, make: (s) => step(s, index) }];
      }),
      ...clientMoves(state),
    ],
    fault: ({ got, ackedBefore }) => {
      const early = got.find((each) => each > 0 && each <= ackedBefore);
      if (early !== undefined) return `${early} was acknowledged before and comes live`;
      const newest = got.map((each) => (each < 0 ? -1 - each : each));
      const at = newest.findIndex((each, place) => place > 0 && each <= newest[place - 1]);
      if (at === -1) return null;
      return newest[at] === newest[at - 1] ? 'a value comes twice' : 'an older value comes last';
    },
    stuck: ({ got, stored, published }) => {
      if (stored !== published) return 'the owner has not got the last value';
      const last = got.at(-1);
      if (last === undefined) return 'nothing comes';
      return last === stored || last === -1 - stored ? null : 'the subscriber keeps an old value';
    },
  };
}
