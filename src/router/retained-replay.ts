/**
 * Sends retained messages to a session that has subscribed [MQTT-3.3.1-6]. The messages of a filter
 * lie with the shards that own their topics: this shard's part is read here, others are asked one
 * after another and answer in parts, the next being asked for when the session has taken the last.
 */
import {
  RETAINED_PART_BYTES,
  RETAINED_REPLAY_STEPS_MAX,
  RETAINED_STEPS_MAX,
} from '../base/limits.js';
import { WordIds } from '../base/word-ids.js';
import type { ReplayPlace } from '../sessions/replay-guard.js';
import type { Session } from '../sessions/session.js';
import { readArrived } from './arrived-message.js';
import { type OpeningParts, Openings } from './opening.js';
import { ParkedReplays } from './parked-replays.js';
import { RecordKind } from './records.js';
import { type Asked, type Matches, Replay, type ReplayHost } from './replay.js';
import type { Filters, MovedFilter } from './replay-filters.js';
import type { ReplayRows } from './replay-notes.js';
import { RetainedAnswers } from './retained-answers.js';
import { type FoundParts, sendFound, sendNoted } from './retained-found.js';
import { type RetainedFrame, toFrame } from './retained-message.js';
import { RetainedOwners } from './retained-owners.js';

const NO_BYTES = Buffer.alloc(0);
/** Levels that one step of a replay looks at: all steps of a turn together RETAINED_STEPS_MAX. */
const LEVELS_PER_STEP = Math.ceil(RETAINED_STEPS_MAX / RETAINED_REPLAY_STEPS_MAX);

/** What the replays of one shard work with. */
export interface ReplayParts extends FoundParts, OpeningParts {
  /** Where it is noted what kept sessions are owed; null: nothing is kept, nor what is retained. */
  readonly rows: ReplayRows | null;
}

/** All replays of one shard, asked for here or by peers. */
export class RetainedReplays {
  /** To what peers ask. */
  readonly answers: RetainedAnswers;
  readonly #parts: ReplayParts;
  readonly #replays = new Map<number, Replay>();
  /** Replays with a step to take in the next turn: not those that wait for a peer. */
  #ready: Replay[] = [];
  readonly #ids = new WordIds();
  readonly #openings: Openings;
  readonly #owners: RetainedOwners;
  readonly #parked = new ParkedReplays();
  readonly #host: ReplayHost;

  constructor(parts: ReplayParts) {
    this.#parts = parts;
    this.answers = new RetainedAnswers(parts);
    this.#owners = new RetainedOwners(parts);
    this.#openings = new Openings(parts, this.#ids, this.#replays);
    this.#host = {
      rows: parts.rows,
      bringOlder: (replay, topicKey, asked) => {
        const message = parts.retained.get(topicKey);
        if (message !== undefined) sendNoted(parts, replay, topicKey, toFrame(message), asked);
      },
      goOn: (replay) => this.#makeReady(replay),
      end: (replay) => this.#end(replay),
      keepNewer: (opening, topicKey, message) => {
        this.#openings.keepNewer(opening, topicKey, message);
      },
    };
  }

  /**
   * The session is about to subscribe, and `start` will follow: what comes live from here on is not
   * to be sent once more as retained.
   * @param ready called when the SUBACK may go out.
   * @returns what is to be called when all shards route the filters.
   */
  expect(session: Session, filters: Filters, ready: () => void): () => void {
    const replay = (session.replay as Replay | null) ?? this.#begin(session);
    const unconfirmed = replay.expect(filters);
    // One that does not read is not sent more than it takes.
    if (unconfirmed.fresh === null || session.outlet?.isHeavy !== false) return ready;
    const opening = this.#openings.begin(filters, ready);
    if (opening === null) return ready;
    unconfirmed.opening = opening;
    return () => this.#openings.onRouted(opening);
  }

  /**
   * The SUBACK has gone out: sends what is retained for these filters, what has come before it at
   * once; goes on turn by turn in `pump`. Where it has not gone out the replay is held, and nothing
   * is sent here.
   */
  start(session: Session, filters: Filters): void {
    const replay = session.replay as Replay | null;
    const confirmed = replay?.unconfirmed.confirm(filters) ?? null;
    if (replay === null || confirmed === null) return;
    const { since, opening, left } = confirmed;
    if (opening !== null) this.#openings.end(opening);
    let asked: Asked = { grant: 0, since };
    const whole = new Map<string, Asked>();
    for (const [filterKey, grant] of filters) {
      if (asked.grant !== grant) asked = { grant, since };
      // Unsubscribed meanwhile.
      if (!session.subscriptions.has(filterKey) || left?.has(filterKey) === true) continue;
      // All of it is sent now, whatever was left of an earlier SUBSCRIBE.
      this.#leave(replay, filterKey);
      replay.again.delete(filterKey);
      replay.filters.delete(filterKey);
      if (opening?.isWhole(filterKey) === true && !replay.isHeld) whole.set(filterKey, asked);
      else replay.filters.set(filterKey, asked);
    }
    if (opening !== null) {
      for (const [filterKey, asked] of whole) {
        if (sendFound(this.#parts, replay, opening, filterKey, asked)) {
          replay.notes?.finish(filterKey, asked.since, replay.again.size > 0);
        } else {
          replay.filters.set(filterKey, asked);
        }
      }
    }
    // What was sent may have closed the connection.
    if (session.replay !== replay) return;
    if (replay.isDone && replay.unconfirmed.all.length === 0) this.#finish(replay);
    else this.#makeReady(replay);
  }

  /** The session has unsubscribed: nothing more is sent of the filter [MQTT-3.10.4-2]. */
  leave(session: Session, filterKey: string): void {
    const replay = session.replay as Replay | null;
    if (replay === null) return;
    replay.unconfirmed.noteLeft(filterKey);
    replay.notes?.settle(filterKey, replay.subscribes);
    // Topics of it that are asked for again are left out when their turn comes.
    if (!replay.again.has(filterKey)) replay.filters.delete(filterKey);
    this.#leave(replay, filterKey);
  }

  /**
   * The session's connection is gone. What was not sent is when its client is back: QoS 1 and 2 as
   * it was asked for, QoS 0 too where that is still to come.
   */
  park(session: Session): void {
    const replay = session.replay as Replay | null;
    if (replay === null) return;
    this.#giveUpOpenings(replay);
    replay.interrupt();
    if (replay.isReading) this.#leaveFilter(replay);
    if (replay.isDone) this.#finish(replay);
    else this.#parked.add(replay);
  }

  /** The session's client is back. */
  resume(session: Session): void {
    const replay = session.replay as Replay | null;
    if (replay === null) return;
    this.#parked.delete(replay);
    this.#makeReady(replay);
  }

  /**
   * Some of the replay of a session that comes from another shard is still to be sent there.
   * @param filters of it that have not begun.
   */
  expectMoved(session: Session, filters: readonly MovedFilter[]): void {
    let replay = session.replay as Replay | null;
    if (replay === null) {
      replay = this.#begin(session);
      replay.subscribes++;
      this.#parked.add(replay);
    }
    for (const [filterKey, grant, since] of filters) replay.addMoved(filterKey, grant, since);
  }

  /** The rest of that has come. */
  restore(session: Session, place: ReplayPlace): void {
    (session.replay as Replay | null)?.restore(place);
  }

  /**
   * A session was found in the store: what it was owed when its shard ended, it is still.
   * @param owed what that is, where it is known.
   */
  recall(session: Session, owed = this.#parts.rows?.owed(session) ?? []): void {
    for (const filter of owed) {
      const grant = session.subscriptions.get(filter.filterKey);
      if (grant === undefined) continue;
      if (session.replay === null) this.#parked.add(this.#begin(session));
      (session.replay as Replay | null)!.addStored(filter, grant);
    }
  }

  /**
   * A message of a replay asked for here; the words are those of RecordKind. It is kept until the
   * rings have been read to their ends: its owner may have read a message from another ring that
   * comes here live too, and must come once. What lies in the rings when this arrives includes
   * that.
   * @throws RecordError when [start, end) is no PUBLISH.
   */
  onMessage(
    replayId: number,
    word1: number,
    topicLength: number,
    word3: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const replay = this.#replays.get(replayId);
    const isOpening = this.#openings.has(replayId);
    if (replay === undefined && !isOpening) return;
    const arrived = readArrived(word1, topicLength, word3, buffer, start, end);
    if (isOpening) this.#openings.onMessage(replayId, arrived);
    if (replay === undefined) return;
    replay.arrived.push(arrived);
    this.#makeReady(replay);
  }

  /** A part of a replay asked for here has come whole. */
  onPart(replayId: number, isLast: boolean): void {
    if (this.#openings.has(replayId)) this.#openings.onAnswered(replayId, isLast);
    const replay = this.#replays.get(replayId);
    if (replay === undefined) return;
    if (isLast) replay.askedShard = -1;
    else replay.isPartDone = true;
    this.#makeReady(replay);
  }

  /** A peer died: what it retained its successor has, where that is kept, and else nobody. */
  dropPeer(index: number): void {
    this.answers.dropPeer(index);
    this.#openings.dropPeer(index);
    for (const replay of this.#replays.values()) {
      if (replay.loseOwner(index, this.#owners.isKept)) this.#makeReady(replay);
    }
  }

  /** A dead peer has a successor: it can be asked. */
  welcomePeer(): void {
    for (const replay of this.#replays.values()) if (replay.owners !== 0) this.#makeReady(replay);
  }

  /**
   * One turn's work; called when the rings have been read to their ends. @param isDelayed nothing
   * is to be replayed for now.
   */
  pump(isDelayed = false): void {
    this.answers.pump();
    if (isDelayed) return;
    const ready = this.#ready;
    this.#ready = [];
    for (const replay of ready) {
      replay.isReady = false;
      if (this.#replays.has(replay.id)) this.#steps(replay);
    }
  }

  /** What SUBACKs wait for, here and on other shards; to be called behind what is announced. */
  beforeFlush(): void {
    this.answers.pumpWhole();
    this.#openings.flush();
  }

  #giveUpOpenings(replay: Replay): void {
    for (const { opening } of replay.unconfirmed.all) {
      if (opening !== null) this.#openings.giveUp(opening);
    }
  }

  #begin(session: Session): Replay {
    const id = this.#ids.next(this.#openings.used);
    const replay = new Replay(id, session, this.#parts.shardIndex, this.#host);
    session.replay = replay;
    this.#replays.set(id, replay);
    return replay;
  }

  /** All is sent. */
  #finish(replay: Replay): void {
    replay.notes?.end();
    this.#end(replay);
  }

  #end(replay: Replay): void {
    replay.session.replay = null;
    this.#giveUpOpenings(replay);
    this.#replays.delete(replay.id);
    this.#parked.delete(replay);
    if (replay.askedShard >= 0)
      this.#tell(RecordKind.retainedMore, replay.askedShard, replay.id, 0);
  }

  /** Nothing more of the filter is sent, where it is the one that has begun. */
  #leave(replay: Replay, filterKey: string): void {
    if (replay.interrupted?.subscribed === filterKey) replay.interrupted = null;
    if (replay.subscribed === filterKey && replay.isReading) this.#leaveFilter(replay);
  }

  /** What its owner has sent so far is named by the old id, and is nobody's. */
  #leaveFilter(replay: Replay): void {
    if (replay.askedShard >= 0)
      this.#tell(RecordKind.retainedMore, replay.askedShard, replay.id, 0);
    this.#replays.delete(replay.id);
    replay.id = this.#ids.next(this.#openings.used);
    this.#replays.set(replay.id, replay);
    replay.leaveFilter();
    this.#makeReady(replay);
  }

  #makeReady(replay: Replay): void {
    this.#parts.schedule();
    this.#stepNextTurn(replay);
  }

  #stepNextTurn(replay: Replay): void {
    if (replay.isReady) return;
    replay.isReady = true;
    this.#ready.push(replay);
  }

  /** Takes steps until the replay waits, a part is sent, or others are to have their turn. */
  #steps(replay: Replay): void {
    const outlet = replay.session.outlet;
    if (outlet === null || replay.isHeld) return;
    this.#takeArrived(replay);
    let bytesLeft = RETAINED_PART_BYTES;
    for (let steps = 0; steps < RETAINED_REPLAY_STEPS_MAX && bytesLeft > 0; steps++) {
      // What was sent may have closed the connection.
      if (replay.session.replay !== replay) return;
      if (outlet.isHeavy) {
        // Relieving it asks for a turn. Asking for one now would keep the shard turning until then.
        this.#stepNextTurn(replay);
        return;
      }
      if (replay.local !== null) {
        bytesLeft -= this.#readLocalPart(replay, replay.local, bytesLeft);
      } else if (replay.askedShard >= 0) {
        if (!replay.isPartDone) return;
        replay.isPartDone = false;
        replay.isPartDoubtful = false;
        this.#tell(RecordKind.retainedMore, replay.askedShard, replay.id, 1);
        return;
      } else if (replay.owners !== 0) {
        if (!this.#askNextOwner(replay)) return;
      } else if (!this.#nextFilter(replay)) {
        return;
      }
    }
    this.#makeReady(replay);
  }

  /**
   * Delivers what an owner has sent. A message that may be older than one that came live is asked
   * for again, by its topic: the newest then comes.
   */
  #takeArrived(replay: Replay): void {
    for (const message of replay.arrived) {
      const { topicKey } = message;
      if (!replay.isPartDoubtful) this.#deliver(replay, topicKey, message);
      else if (!replay.filters.has(topicKey)) {
        replay.filters.set(topicKey, replay.asked);
        replay.again.set(topicKey, replay.subscribed);
      }
    }
    replay.arrived.length = 0;
  }

  /** @returns false when there is none, and the replay waits or is done. */
  #nextFilter(replay: Replay): boolean {
    const { interrupted } = replay;
    if (interrupted !== null) {
      replay.goOn(interrupted);
      this.#findOwners(replay);
      return true;
    }
    replay.finishFilter();
    let next = replay.upcoming.next();
    if (next.done && replay.filters.size > 0) {
      // Once at its end an iterator stays there, whatever is added.
      replay.upcoming = replay.filters.entries();
      next = replay.upcoming.next();
    }
    if (next.done) {
      if (replay.unconfirmed.all.length > 0) return false;
      this.#finish(replay);
      return false;
    }
    const [filterKey, asked] = next.value;
    const subscribed = replay.again.get(filterKey) ?? filterKey;
    replay.filters.delete(filterKey);
    replay.again.delete(filterKey);
    replay.enterFilter(filterKey, asked, subscribed);
    this.#findOwners(replay);
    return true;
  }

  /** Which shards are to be asked for its filter. */
  #findOwners(replay: Replay): void {
    const { filterKey, subscribed } = replay;
    if (!replay.session.subscriptions.has(subscribed)) return;
    replay.owners = this.#owners.of(filterKey);
  }

  /** @returns false when none of them is there now: `welcomePeer` goes on. */
  #askNextOwner(replay: Replay): boolean {
    const { shardIndex, link, retained } = this.#parts;
    const here = replay.owners & this.#owners.live;
    if (here === 0) return false;
    const owner = 31 - Math.clz32(here);
    replay.owners &= ~(1 << owner);
    if (owner === shardIndex) {
      replay.local = retained.match(replay.filterKey, LEVELS_PER_STEP);
      return true;
    }
    replay.askedShard = owner;
    replay.isPartDoubtful = false;
    const body = Buffer.from(replay.filterKey, 'latin1');
    link.send(RecordKind.retainedQuery, 1 << owner, replay.id, 0, 0, 0, body, 0, body.length);
    return true;
  }

  /**
   * Sends what is found here until `bytesMax` are sent, all is, or it was looked for long enough.
   * @returns the bytes sent.
   */
  #readLocalPart(replay: Replay, matches: Matches, bytesMax: number): number {
    let bytes = 0;
    while (bytes < bytesMax) {
      const next = matches.next();
      if (next.done) {
        replay.local = null;
        break;
      }
      if (next.value === null) break;
      const [topicKey, message] = next.value;
      if (this.#parts.retained.clearExpired(topicKey, message)) continue;
      const found = toFrame(message);
      this.#deliver(replay, topicKey, found);
      bytes += found.frame.length;
    }
    return bytes;
  }

  #deliver(replay: Replay, topicKey: string, message: RetainedFrame): void {
    if (replay.isLeftOut(topicKey)) return;
    replay.noteBrought(topicKey);
    sendNoted(this.#parts, replay, topicKey, message, replay.asked);
  }

  #tell(kind: number, shard: number, replayId: number, word1: number): void {
    this.#parts.link.send(kind, 1 << shard, replayId, word1, 0, 0, NO_BYTES, 0, 0);
  }
}
