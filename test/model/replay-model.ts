/**
 * A subscription and its retained value, step by step, with tickets. Shard 1 owns one retained
 * topic, shard 2 has the subscriber, and another one of the same filter that leaves: who routes
 * what to shard 2 changes while the value changes. The publisher is on any shard. The turn is that
 * of ticket-model.ts in fewer steps, as it is proved there: sockets are read and the word is loaded
 * / heads are loaded, records and what was read are handled / ticket and head / acks.
 *
 * A value is its number, and a higher one is newer. Value 0 was retained before all this. The
 * SUBACK goes out behind the answer (src/router/opening.ts); until then what comes is left to the
 * replay, and the newest of it, kept since the owner was asked, stands for the answer. Two shards
 * ask with the SUBSCRIBE: what the other one has sent before its confirmation is in its answer.
 */
import type { Move, StepModel } from './explore.js';

/** Where the protocol is left. */
export type ReplayVariant =
  | 'as it is'
  /** The SUBACK goes out before; what comes live meanwhile is taken for newer than the answer. */
  | 'live is newer'
  /** Asked with the SUBSCRIBE and not behind the confirmations, as two shards do. */
  | 'asked at once'
  /** What comes from others before they have confirmed is kept too. */
  | 'all is kept'
  /** What is left to the replay is not kept. */
  | 'nothing is kept'
  /** What is kept comes live behind the answer. */
  | 'kept ones come too'
  /** What comes before the SUBACK is delivered. */
  | 'nothing is held back';

type Kind = 'run' | 'add' | 'remove' | 'confirm' | 'query' | 'answer';
/** `value` of a run and an answer. */
type Entry = [kind: Kind, value: number, ticket: number, mask: number];

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
  /** Whether the publisher's shard routes to shard 2. */
  isRouted: boolean;
  stored: number;
  /** Subscribers on shard 2. */
  hasOther: boolean;
  hasOtherLeft: boolean;
  isSubscribed: boolean;
  hasAsked: boolean;
  /** Values acknowledged when the SUBSCRIBE was written. */
  ackedBefore: number;
  unconfirmed: number;
  /** The SUBSCRIBE waits for confirmations. */
  isWaiting: boolean;
  isAsked: boolean;
  isAcknowledged: boolean;
  /** The newest that came between the question and the SUBACK; -1: none. */
  kept: number;
  hasLive: boolean;
  /** Values published behind the SUBACK. */
  owedLive: number[];
  /** What the subscriber got: a live value as it is, a replayed one as -1 - value. */
  got: number[];
}

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
  const words = [state.word, ...limits, ...entries.map(([, , ticket]) => ticket)];
  const ranks = [...new Set(words.filter((word) => word > 0))].sort((a, b) => a - b);
  const rankOf = (word: number) => (word > 0 ? 1 + ranks.indexOf(word) : word);
  for (const entry of entries) entry[2] = rankOf(entry[2]);
  for (const shard of shards) shard.limit = rankOf(shard.limit);
  state.word = rankOf(state.word);
}

export interface ReplayOptions {
  /** How many are published behind the first. */
  readonly values: number;
  readonly variant: ReplayVariant;
  /** The shard of the publisher. */
  readonly publisher: 0 | 1 | 2;
  /** There is no shard 0. */
  readonly areTwo: boolean;
}

/** Publisher, owner and subscriber until all has come. */
export function replayModel(options: ReplayOptions): StepModel<State> {
  const { values, variant, publisher, areTwo } = options;
  const others = areTwo ? 1 << OWNER : ALL_BUT_SUBSCRIBER;

  const put = (state: State, shard: number, kind: Kind, value: number, mask: number): void => {
    state.shards[shard]!.ring.push([kind, value, 0, mask]);
  };

  const ask = (state: State): void => {
    state.isAsked = true;
    put(state, SUBSCRIBER, 'query', 0, 1 << OWNER);
    if (variant === 'live is newer') state.isAcknowledged = true;
  };

  const announce = (state: State, kind: 'add' | 'remove'): void => {
    put(state, SUBSCRIBER, kind, 0, others);
    state.unconfirmed += areTwo ? 1 : 2;
  };

  /** A value comes to the shard of the subscriber. */
  const onValue = (state: State, value: number): void => {
    if (!state.isSubscribed) return;
    if (!state.isAcknowledged && variant !== 'nothing is held back') {
      const isSurelyNewer =
        publisher === SUBSCRIBER || !state.isWaiting || variant === 'all is kept';
      if (state.isAsked && isSurelyNewer && variant !== 'nothing is kept') state.kept = value;
      return;
    }
    state.hasLive = true;
    state.got.push(value);
  };

  const onAnswer = (state: State, value: number): void => {
    state.isAcknowledged = true;
    if (variant === 'live is newer' && state.hasLive) return;
    const { kept } = state;
    const isBeside = variant === 'kept ones come too';
    state.got.push(-1 - (kept < 0 || isBeside ? value : kept));
    if (kept >= 0 && isBeside) state.got.push(kept);
  };

  const onRecord = (state: State, shard: number, [kind, value]: Entry): void => {
    switch (kind) {
      case 'run':
        if (shard === OWNER) state.stored = value;
        else onValue(state, value);
        return;
      case 'add':
      case 'remove':
        if (shard === publisher) state.isRouted = kind === 'add';
        put(state, shard, 'confirm', 0, 1 << SUBSCRIBER);
        return;
      case 'confirm':
        state.unconfirmed--;
        if (state.unconfirmed > 0 || !state.isWaiting) return;
        state.isWaiting = false;
        if (!state.isAsked) ask(state);
        return;
      case 'query':
        put(state, OWNER, 'answer', state.stored, 1 << SUBSCRIBER);
        return;
      case 'answer':
        onAnswer(state, value);
    }
  };

  const onPublish = (state: State): void => {
    const value = ++state.published;
    state.owed = value;
    let mask = 0;
    if (publisher === OWNER) state.stored = value;
    else mask |= 1 << OWNER;
    if (publisher === SUBSCRIBER) onValue(state, value);
    else if (state.isRouted) mask |= 1 << SUBSCRIBER;
    if (mask !== 0) put(state, publisher, 'run', value, mask);
  };

  const onPacket = (state: State, packet: string): void => {
    if (packet === 'publish') {
      onPublish(state);
    } else if (packet === 'unsubscribe') {
      state.hasOther = false;
      if (!state.isSubscribed) announce(state, 'remove');
    } else {
      state.isSubscribed = true;
      if (!state.hasOther) announce(state, 'add');
      state.isWaiting = state.unconfirmed > 0;
      const isAskedAtOnce = variant === 'asked at once' || variant === 'all is kept';
      if (!state.isWaiting || isAskedAtOnce) ask(state);
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
        if (areTwo) state.shards[0].tails = state.shards.map(({ ring }) => ring.length);
        normalize(state);
        shard.limit = 0;
        if (shard.ring.length > shard.head) shard.at = 'flush';
        else shard.at = index === publisher && state.owed > state.acked ? 'out' : 'idle';
        return;
      case 'flush':
        state.word++;
        for (let at = shard.head; at < shard.ring.length; at++) shard.ring[at][2] = state.word;
        shard.head = shard.ring.length;
        shard.at = index === publisher && state.owed > state.acked ? 'out' : 'idle';
        return;
      case 'out':
        state.acked = state.owed;
        shard.at = 'idle';
    }
  };

  const hasWork = (state: State, index: number): boolean => {
    const { socket, tails } = state.shards[index];
    if (areTwo && index === 0) return false;
    const isBehind = (other: Shard, from: number) => from !== index && other.head > tails[from];
    return socket.length > 0 || state.shards.some(isBehind);
  };

  const clientMoves = (state: State): Move<State>[] => {
    const all: Move<State>[] = [];
    const { shards, published, acked } = state;
    const { socket, reading } = shards[publisher];
    const isQuiet = !socket.includes('publish') && !reading.includes('publish');
    if (published < values && acked === published && isQuiet) {
      const make = (s: State) => {
        s.shards[publisher].socket.push('publish');
        if (s.isAcknowledged) s.owedLive.push(s.published + 1);
      };
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
      hasOther: true,
      hasOtherLeft: false,
      isSubscribed: false,
      hasAsked: false,
      ackedBefore: 0,
      unconfirmed: 0,
      isWaiting: false,
      isAsked: false,
      isAcknowledged: false,
      kept: -1,
      hasLive: false,
      owedLive: [],
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
    stuck: ({ got, stored, published, owedLive }) => {
      if (stored !== published) return 'the owner has not got the last value';
      if (!got.some((each) => each < 0)) return 'nothing comes as retained';
      const last = got.at(-1);
      if (last !== stored && last !== -1 - stored) return 'the subscriber keeps an old value';
      const isMissing = owedLive.some((value) => !got.includes(value));
      return isMissing ? 'a value published behind the SUBACK does not come live' : null;
    },
  };
}
