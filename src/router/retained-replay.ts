/**
 * Sends retained messages to a session that has subscribed [MQTT-3.3.1-6]. The messages of a filter
 * lie with the shards that own their topics: this shard's part is read here, others are asked one
 * after another and answer in parts, the next being asked for when the session has taken the last.
 */
import { Counter, type Counters } from '../base/counters.js';
import { RecordError } from '../base/errors.js';
import {
  RETAINED_PART_BYTES,
  RETAINED_REPLAY_STEPS_MAX,
  RETAINED_STEPS_MAX,
} from '../base/limits.js';
import { WordIds } from '../base/word-ids.js';
import { DUP } from '../protocol/fixed-header.js';
import type { QoS } from '../protocol/packet.js';
import { copyRunAsQos0, copyRunWithHeader } from '../protocol/publish-frame.js';
import { checkRun } from '../protocol/run-check.js';
import type { QueuedTotal } from '../sessions/queued-total.js';
import type { Session } from '../sessions/session.js';
import { hasWildcard, isValidTopicFilter } from '../topics/topic.js';
import type { ClientDrops } from './client-drops.js';
import { layOutWindow } from './lay-out-window.js';
import type { PeerLink } from './peer-link.js';
import { RecordKind } from './records.js';
import { type Asked, type Filters, type Matches, Replay } from './replay.js';
import { toFrame } from './retained-message.js';
import type { RetainedStore } from './retained-store.js';
import { retainedOwnerOf } from './route.js';
import type { TurnArena } from './turn-arena.js';

const NO_BYTES = Buffer.alloc(0);
/** Levels that one step of a replay looks at: all steps of a turn together RETAINED_STEPS_MAX. */
const LEVELS_PER_STEP = Math.ceil(RETAINED_STEPS_MAX / RETAINED_REPLAY_STEPS_MAX);
const PUBLISH_QOS0_RETAINED = 0x31;

/** A peer's question, answered part by part. */
interface Answer {
  readonly from: number;
  readonly replayId: number;
  readonly matches: Matches;
  /** The peer wants the next part. */
  isWanted: boolean;
}

/** What the replays of one shard work with. */
export interface ReplayParts {
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly arena: TurnArena;
  readonly link: PeerLink;
  readonly retained: RetainedStore;
  readonly counters: Counters;
  readonly queuedTotal: QueuedTotal;
  readonly drops: ClientDrops;
  /** Live peers, as a mask. */
  readonly peers: () => number;
  /** Coarse time in milliseconds. */
  readonly clock: { readonly now: number };
  /** Asks for another turn. */
  readonly schedule: () => void;
}

/** All replays of one shard, asked for here or by peers. */
export class RetainedReplays {
  readonly #parts: ReplayParts;
  readonly #replays = new Map<number, Replay>();
  readonly #answers = new Map<string, Answer>();
  /** Replays with a step to take in the next turn: not those that wait for a peer. */
  #ready: Replay[] = [];
  readonly #ids = new WordIds();
  readonly #bringOlder = (replay: Replay, topicKey: string, qos: QoS) => {
    const message = this.#parts.retained.get(topicKey);
    if (message !== undefined) this.#send(replay.session, topicKey, toFrame(message), qos);
  };
  /** An answer is wanted, and the ring had no room for it. */
  #isHeldUp = false;

  constructor(parts: ReplayParts) {
    this.#parts = parts;
  }

  /**
   * The session has subscribed, and `start` will follow: what comes live from here on is not to be
   * sent once more as retained.
   */
  expect(session: Session, filters: Filters): void {
    let replay = session.replay as Replay | null;
    if (replay === null) {
      const { shardIndex } = this.#parts;
      const id = this.#ids.next(this.#replays);
      replay = new Replay(id, session, shardIndex, this.#bringOlder);
      session.replay = replay;
      this.#replays.set(replay.id, replay);
    }
    replay.unconfirmed.push({ filters, since: ++replay.subscribes });
  }

  /** Begins to send what is retained for these filters; goes on turn by turn in `pump`. */
  start(session: Session, filters: Filters): void {
    const replay = session.replay as Replay | null;
    const at = replay?.unconfirmed.findIndex((each) => each.filters === filters) ?? -1;
    if (replay === null || at < 0) return;
    const [{ since }] = replay.unconfirmed.splice(at, 1);
    let asked: Asked = { qos: 0, since };
    for (const [filterKey, qos] of filters) {
      if (asked.qos !== qos) asked = { qos, since };
      // Unsubscribed meanwhile.
      if (!session.subscriptions.has(filterKey)) continue;
      replay.again.delete(filterKey);
      replay.filters.delete(filterKey);
      replay.filters.set(filterKey, asked);
    }
    this.#makeReady(replay);
  }

  /** The session has unsubscribed: nothing more is sent of the filter [MQTT-3.10.4-2]. */
  leave(session: Session, filterKey: string): void {
    const replay = session.replay as Replay | null;
    if (replay === null) return;
    // Topics of it that are asked for again are left out when their turn comes.
    if (!replay.again.has(filterKey)) replay.filters.delete(filterKey);
    if (replay.subscribed === filterKey && replay.isReading) this.#leaveFilter(replay);
  }

  /** The session's connection is gone: nothing more is sent. */
  stop(session: Session): void {
    const replay = session.replay as Replay | null;
    if (replay === null) return;
    session.replay = null;
    this.#replays.delete(replay.id);
    if (replay.askedShard >= 0)
      this.#tell(RecordKind.retainedMore, replay.askedShard, replay.id, 0);
  }

  /**
   * A peer wants what this shard owns of a filter. It is answered by `pump`, once the rings have
   * been read to their ends: a message acknowledged before the subscription was made is then in the
   * store.
   * @throws RecordError when `filterKey` is no filter.
   */
  onQuery(from: number, replayId: number, filterKey: string): void {
    if (!isValidTopicFilter(filterKey)) throw new RecordError('retained messages of no filter');
    const matches = this.#parts.retained.match(filterKey);
    this.#answers.set(`${from}/${replayId}`, { from, replayId, matches, isWanted: true });
    this.#parts.schedule();
  }

  /** A peer wants the next part, or gives up. */
  onMore(from: number, replayId: number, goOn: boolean): void {
    const answer = this.#answers.get(`${from}/${replayId}`);
    if (answer === undefined) return;
    if (!goOn) this.#answers.delete(`${from}/${replayId}`);
    answer.isWanted = true;
    this.#parts.schedule();
  }

  /**
   * A message of a replay asked for here. It is kept until the rings have been read to their ends:
   * its owner may have read a message from another ring that comes here live too, and must come
   * once. What lies in the rings when this arrives includes that.
   * @throws RecordError when [start, end) is no PUBLISH.
   */
  onMessage(
    replayId: number,
    topicLength: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const replay = this.#replays.get(replayId);
    if (replay === undefined) return;
    const header = buffer[start] & ~DUP;
    const topicStart = checkRun(buffer, start, end, header, topicLength, 1);
    const topicKey = buffer.toString('latin1', topicStart, topicStart + topicLength);
    replay.arrived.push({ topicKey, frame: Buffer.from(buffer.subarray(start, end)) });
    this.#makeReady(replay);
  }

  /** A part of a replay asked for here has come whole. */
  onPart(replayId: number, isLast: boolean): void {
    const replay = this.#replays.get(replayId);
    if (replay === undefined) return;
    if (isLast) replay.askedShard = -1;
    else replay.isPartDone = true;
    this.#makeReady(replay);
  }

  /** A peer died: nothing is to be had from it, and it asks nothing any more. */
  dropPeer(index: number): void {
    for (const [key, answer] of this.#answers) if (answer.from === index) this.#answers.delete(key);
    for (const replay of this.#replays.values()) {
      replay.owners &= ~(1 << index);
      if (replay.askedShard === index) {
        replay.askedShard = -1;
        replay.isPartDone = false;
        this.#makeReady(replay);
      }
    }
  }

  /** One turn's work; called when the rings have been read to their ends. */
  pump(): void {
    for (const [key, answer] of this.#answers) {
      if (!answer.isWanted) continue;
      if (this.#parts.link.backlogBytes === 0) this.#answerPart(key, answer);
      else this.#isHeldUp = true;
    }
    const ready = this.#ready;
    this.#ready = [];
    for (const replay of ready) {
      replay.isReady = false;
      if (this.#replays.has(replay.id)) this.#steps(replay);
    }
  }

  /** The ring has room again: the flush that has found it comes behind the turn's `pump`. */
  onRingRoom(): void {
    if (!this.#isHeldUp) return;
    this.#isHeldUp = false;
    this.#parts.schedule();
  }

  /** What its owner has sent so far is named by the old id, and is nobody's. */
  #leaveFilter(replay: Replay): void {
    if (replay.askedShard >= 0)
      this.#tell(RecordKind.retainedMore, replay.askedShard, replay.id, 0);
    this.#replays.delete(replay.id);
    replay.id = this.#ids.next(this.#replays);
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
    if (outlet === null) return;
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
        this.#askNextOwner(replay);
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
    for (const { topicKey, frame } of replay.arrived) {
      if (!replay.isPartDoubtful) this.#deliver(replay, topicKey, frame);
      else if (!replay.filters.has(topicKey)) {
        replay.filters.set(topicKey, replay.asked);
        replay.again.set(topicKey, replay.subscribed);
      }
    }
    replay.arrived.length = 0;
  }

  /** @returns false when there is none, and the replay waits or is done. */
  #nextFilter(replay: Replay): boolean {
    const { shardIndex, shardCount, peers } = this.#parts;
    let next = replay.upcoming.next();
    if (next.done && replay.filters.size > 0) {
      // Once at its end an iterator stays there, whatever is added.
      replay.upcoming = replay.filters.entries();
      next = replay.upcoming.next();
    }
    if (next.done) {
      if (replay.unconfirmed.length > 0) return false;
      replay.session.replay = null;
      this.#replays.delete(replay.id);
      return false;
    }
    const [filterKey, asked] = next.value;
    const subscribed = replay.again.get(filterKey) ?? filterKey;
    replay.filters.delete(filterKey);
    replay.again.delete(filterKey);
    replay.enterFilter(filterKey, asked, subscribed);
    if (!replay.session.subscriptions.has(subscribed)) return true;
    const live = peers() | (1 << shardIndex);
    replay.owners = hasWildcard(filterKey)
      ? live
      : live & (1 << retainedOwnerOf(filterKey, shardCount));
    return true;
  }

  #askNextOwner(replay: Replay): void {
    const { shardIndex, link, retained } = this.#parts;
    const owner = 31 - Math.clz32(replay.owners);
    replay.owners &= ~(1 << owner);
    if (owner === shardIndex) {
      replay.local = retained.match(replay.filterKey, LEVELS_PER_STEP);
      return;
    }
    replay.askedShard = owner;
    replay.isPartDoubtful = false;
    const body = Buffer.from(replay.filterKey, 'latin1');
    link.send(RecordKind.retainedQuery, 1 << owner, replay.id, 0, 0, 0, body, 0, body.length);
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
      const frame = toFrame(message);
      this.#deliver(replay, topicKey, frame);
      bytes += frame.length;
    }
    return bytes;
  }

  #answerPart(key: string, answer: Answer): void {
    const { from, replayId, matches } = answer;
    answer.isWanted = false;
    for (let bytes = 0; bytes < RETAINED_PART_BYTES; ) {
      const next = matches.next();
      if (next.done) {
        this.#answers.delete(key);
        this.#tell(RecordKind.retainedPart, from, replayId, 1);
        return;
      }
      if (next.value === null) {
        answer.isWanted = true;
        this.#parts.schedule();
        return;
      }
      const [topicKey, message] = next.value;
      const frame = toFrame(message);
      const { length } = frame;
      const kind = RecordKind.retainedMessage;
      const { link } = this.#parts;
      link.send(kind, 1 << from, replayId, 0, topicKey.length, 0, frame, 0, length);
      bytes += length;
    }
    this.#tell(RecordKind.retainedPart, from, replayId, 0);
  }

  #deliver(replay: Replay, topicKey: string, frame: Buffer): void {
    if (replay.isSuperseded(topicKey)) return;
    replay.noteBrought(topicKey);
    this.#send(replay.session, topicKey, frame, replay.asked.qos);
  }

  /** Sends with RETAIN set [MQTT-3.3.1-8], at the lower of the message's and the granted QoS. */
  #send(session: Session, topicKey: string, frame: Buffer, grantedQos: QoS): void {
    const { outlet } = session;
    if (outlet === null) return;
    const [header] = frame;
    const publishedQos = (header >> 1) & 3;
    const qos = Math.min(publishedQos, grantedQos);
    if (qos > 0) {
      const run = { bytes: frame, header: header & ~1, topicLength: topicKey.length, count: 1 };
      const dropped = session.enqueue(run, qos as 1 | 2, true);
      if (dropped > 0) this.#countDropped(session, dropped);
      // Before what comes live next, at whatever QoS.
      else layOutWindow(session, this.#parts.arena, frame.length, this.#parts.clock.now);
      return;
    }
    const { arena } = this.#parts;
    const end = frame.length;
    const at = arena.reserve(end);
    if (publishedQos === 0) {
      copyRunWithHeader(frame, 0, end, arena.buffer, at, PUBLISH_QOS0_RETAINED);
    } else {
      arena.shrink(copyRunAsQos0(frame, 0, end, arena.buffer, at));
      arena.buffer[at] = PUBLISH_QOS0_RETAINED;
    }
    outlet.append(at, arena.position, 1);
  }

  /** Counts them for this reason alone, whatever bound it was. */
  #countDropped(session: Session, dropped: number): void {
    const { counters, queuedTotal, drops } = this.#parts;
    counters.add(Counter.droppedReplay, dropped);
    queuedTotal.takeRefused();
    drops.note(session, dropped);
  }

  #tell(kind: number, shard: number, replayId: number, word1: number): void {
    this.#parts.link.send(kind, 1 << shard, replayId, word1, 0, 0, NO_BYTES, 0, 0);
  }
}
