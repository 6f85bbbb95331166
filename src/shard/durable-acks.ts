/**
 * What is answered when it is on disk. A publisher's acks wait for the journal of its own shard,
 * and for those of the shards that hold sessions of absent clients: a run that is sent there is
 * marked, each shard counts the marked runs of each other one, and says in a shared word how many
 * of them are durable. So nothing is sent for it, message by message, and one look at a word
 * answers all that wait.
 */
import { lowestBit } from '../base/bits.js';
import { CloseReason } from '../base/errors.js';
import { SHARDS_MAX } from '../base/limits.js';
import type { Connection } from '../connection/connection.js';
import { QOS_MASK, RETAIN } from '../protocol/fixed-header.js';
import type { Run } from '../protocol/run.js';
import { OrphanedTopics } from '../router/orphaned-topics.js';
import type { PeerLink } from '../router/peer-link.js';
import type { Route } from '../router/route.js';
import { isKept } from '../router/router.js';
import type { TurnArena } from '../router/turn-arena.js';
import type { KeptSessions } from '../sessions/kept-sessions.js';
import type { Journal } from '../store/journal.js';
import type { KeptRetained } from '../store/kept-retained.js';
import { DURABLE_WORDS } from '../store/store-words.js';
import type { CutHolds } from './cut-holds.js';
import { HeldPublishers } from './held-publishers.js';

const NOTHING = Buffer.alloc(0);
const NO_TARGETS = new Int32Array(0);

/** What waits: the replies of a connection, or something else. */
interface Wait {
  /** Null: it is none's. */
  readonly connection: Connection | null;
  readonly done: (isLost: boolean) => void;
  /** A shard has died that may not have kept what it was sent. */
  isLost: boolean;
  /** Which submit was the last before it. */
  readonly since: number;
  /** Of the journal: everything before it is to be durable. */
  position: number;
  /** Other shards, a bit each, and by shard how many of the marked runs are to be durable there. */
  shards: number;
  targets: Int32Array;
}

/** Marked runs of other shards that are handled here, and durable with this position. */
interface Handled {
  /** Of the journal. */
  readonly position: number;
  readonly counts: Int32Array;
}

/** What they work with. */
export interface DurableAcksParts {
  readonly shardIndex: number;
  readonly shardCount: number;
  /** False: nothing waits, whatever the disk does. */
  readonly waits: boolean;
  /** What is published for absent clients is not taken while the store is full. */
  readonly rejects: boolean;
  readonly journal: Journal;
  readonly kept: KeptSessions;
  readonly retained: Pick<KeptRetained, 'lengthOf'>;
  readonly link: PeerLink;
  readonly arena: Pick<TurnArena, 'isHeld'>;
  readonly takeover: { readonly cutHolds: Pick<CutHolds, 'areAny' | 'mustHold'> };
  /** store/store-words.ts. */
  readonly words: SharedArrayBuffer;
  readonly share: { end(): void };
  readonly delivery: { onReleased(): void };
  readonly schedule: () => void;
}

/** One a shard that has a store. */
export class DurableAcks {
  readonly #parts: DurableAcksParts;
  readonly #words: Int32Array;
  /** What waits for what is submitted. */
  #waits: Wait[] = [];
  /** What waits for the next submit. */
  #later: Wait[] = [];
  #submits = 0;
  /** Some waits may be over. */
  #isUnanswered = false;
  readonly #held = new HeldPublishers();
  /** What was looked at last is refused, as there is no room for it. */
  #needsRoom = false;
  /** By shard: how many marked runs were sent there. */
  readonly #sent = new Int32Array(SHARDS_MAX);
  /** By shard: how many of its marked runs are handled here. */
  readonly #handled = new Int32Array(SHARDS_MAX);
  #hasHandled = false;
  /** By shard: what was journaled of that. */
  readonly #pendingHandled = new Int32Array(SHARDS_MAX);
  #notes: Handled[] = [];
  /** What the journal had when something began, and the shards that a run went to since. */
  #before = 0;
  #shards = 0;
  /** What nobody keeps at the moment. */
  readonly orphaned = new OrphanedTopics();
  /** What is sent is to be journaled until it has come. */
  isPending = false;
  /** The shards that keep the run that was sent last. */
  #pending = 0;
  /** What was seen of the words of others: their sum. */
  #seen = 0;

  constructor(parts: DurableAcksParts) {
    this.#parts = parts;
    this.#words = new Int32Array(parts.words).subarray(DURABLE_WORDS);
    // A shard that had this index before may have left something here.
    const row = parts.shardIndex * SHARDS_MAX;
    for (let source = 0; source < SHARDS_MAX; source++) Atomics.store(this.#words, row + source, 0);
  }

  /** As much waits for the disk as may: whoever publishes what is kept waits too. */
  get isFull(): boolean {
    return this.#parts.journal.isFull;
  }

  /** The disk takes nothing, or the store is full. */
  get isRefusing(): boolean {
    const { journal } = this.#parts;
    return journal.isFailing || (journal.isStoreFull && this.#parts.rejects);
  }

  /** Something that is to be kept may not be. */
  get mayRefuse(): boolean {
    const { journal } = this.#parts;
    return journal.isFailing || journal.isStoreFull;
  }

  /** Somebody waits to be answered. */
  get isWaiting(): boolean {
    return this.#waits.length + this.#later.length > 0;
  }

  mustHold(route: Route, header: number, retained: number): boolean {
    if (this.isFull && isKept(route, header)) return true;
    this.#needsRoom = this.refuses(route, header, retained);
    if (this.#needsRoom) return true;
    const { cutHolds } = this.#parts.takeover;
    if (cutHolds.areAny && cutHolds.mustHold(route)) return true;
    return this.isOrphaned(route, header);
  }

  /** A shard that keeps it has died, and its successor has not found who it is for. */
  isOrphaned(route: Route, header: number): boolean {
    if (!this.orphaned.areAny) return false;
    const retainedOwner = (header & RETAIN) === 0 ? -1 : route.retainedOwner;
    return this.orphaned.has(route.topicKey, retainedOwner);
  }

  /**
   * Whether what goes this way is to be kept, and cannot be. Of what is retained nothing gives way:
   * whatever the policy, a full store takes what takes no more room than what it replaces.
   */
  refuses(route: Route, header: number, retained: number): boolean {
    const { journal, retained: topics } = this.#parts;
    if (!this.mayRefuse) return false;
    if (this.isRefusing && isKept(route, header & ~RETAIN)) return true;
    if (retained === 0 || (header & QOS_MASK) === 0) return false;
    return journal.isFailing || retained > topics.lengthOf(route.topicKey);
  }

  /** The connection publishes what cannot be kept now: it is read from again when it can. */
  hold(connection: Connection): void {
    this.#parts.share.end();
    this.#held.add(connection, this.#needsRoom);
  }

  /** It has ended, and is not kept in memory for as long as the disk is full. */
  forget(connection: Connection): void {
    this.#held.forget(connection);
  }

  /** How many are not read from. */
  get heldConnections(): number {
    return this.#held.size;
  }

  /**
   * What is journaled and sent from here on is one thing: until `end`. @param isPending it has
   * packet ids that are known from then on: they must not be durable without what came of them.
   */
  begin(isPending: boolean): void {
    const { journal, arena } = this.#parts;
    this.#before = journal.appended;
    this.#shards = 0;
    this.isPending = isPending;
    arena.isHeld = isPending;
  }

  /** A marked run was sent to these shards; those of `kept` are waited for. */
  onSent(shards: number, kept: number): void {
    const live = shards & this.#parts.link.liveMask;
    for (let left = live; left !== 0; left &= left - 1) this.#sent[lowestBit(left)]!++;
    this.#shards |= kept & live;
    this.#pending = kept & live;
  }

  pend(run: Run): void {
    const { journal, shardIndex, shardCount } = this.#parts;
    journal.pend(shardIndex, shardCount, this.#pending, this.#sent, run);
  }

  /** Has what is published and journaled in it be one thing, also within another one. */
  inOnePiece(publish: () => void): void {
    const { arena, delivery } = this.#parts;
    if (this.isPending) {
      publish();
      return;
    }
    this.isPending = true;
    arena.isHeld = true;
    try {
      publish();
    } finally {
      this.isPending = false;
      arena.isHeld = false;
      delivery.onReleased();
    }
  }

  /** Has what the connection is answered from here on wait for all since `begin`. */
  end(connection: Connection): void {
    this.isPending = false;
    this.#parts.arena.isHeld = false;
    const isAny = this.#parts.journal.appended > this.#before || this.#shards !== 0;
    if (isAny && this.#parts.waits) this.#wait(connection, this.#shards);
    this.#parts.delivery.onReleased();
  }

  /** Has it wait for what is journaled until the end of the turn. */
  wait(connection: Connection): void {
    if (this.#parts.waits) this.#wait(connection, 0);
  }

  /** The same for all there is, of whomever: what comes again may not be durable yet. */
  waitForAll(connection: Connection): void {
    const { journal, waits } = this.#parts;
    const isAny = journal.durable < journal.appended || this.isWaiting;
    if (isAny && waits) this.#wait(connection, this.#others);
  }

  /** Calls back when all that is journaled so far is durable: now, if it is. */
  whenDurable(done: () => void): void {
    const { journal, waits } = this.#parts;
    if (!waits || journal.durable >= journal.appended) done();
    else this.#add(null, done, 0);
  }

  /** Calls back when what was sent to these shards, a bit each, is durable there. */
  whenKept(shards: number, done: () => void): void {
    if (this.#parts.waits) this.#add(null, done, shards);
    else done();
  }

  /** Calls back when all there is, of whomever, is durable, here and where it was sent. */
  whenAllKept(done: Wait['done']): void {
    const { journal, waits } = this.#parts;
    const isAll = journal.durable >= journal.appended && this.#areKept(this.#others, this.#sent);
    if (!waits || isAll) done(false);
    else this.#add(null, done, this.#others);
  }

  /** All other shards, a bit each. */
  get #others(): number {
    const { shardCount, shardIndex } = this.#parts;
    return (2 ** shardCount - 1) & ~(1 << shardIndex);
  }

  #wait(connection: Connection, shards: number): void {
    const last = connection.durableWait as Wait | null;
    if (last !== null && last.since === this.#submits) {
      this.#extend(last, shards);
      return;
    }
    const owed = connection.owe();
    const done = () => connection.answer(owed, NOTHING, () => {});
    connection.durableWait = this.#add(connection, done, shards);
  }

  #add(connection: Connection | null, done: Wait['done'], shards: number): Wait {
    const wait: Wait = {
      connection,
      done,
      isLost: false,
      since: this.#submits,
      position: 0,
      shards: 0,
      targets: NO_TARGETS,
    };
    this.#extend(wait, shards);
    this.#later.push(wait);
    this.#parts.schedule();
    return wait;
  }

  #extend(wait: Wait, shards: number): void {
    if (shards === 0) return;
    if (wait.targets === NO_TARGETS) wait.targets = new Int32Array(SHARDS_MAX);
    wait.shards |= shards;
    for (let left = wait.shards; left !== 0; left &= left - 1) {
      const shard = lowestBit(left);
      wait.targets[shard] = this.#sent[shard]!;
    }
  }

  /**
   * A shard has died, and all that it has shown is handled: its successor counts anew. What waits
   * for it will not be answered: whoever has sent it is closed, and sends it again.
   */
  dropPeer(index: number): void {
    this.submit();
    for (const wait of [...this.#waits, ...this.#later]) {
      const { connection, shards, targets } = wait;
      if (((shards >>> index) & 1) === 0) continue;
      wait.isLost ||= !this.#areKept(1 << index, targets);
      connection?.close(CloseReason.workerDied);
    }
    this.#sent[index] = 0;
    this.#handled[index] = 0;
    Atomics.store(this.#words, this.#parts.shardIndex * SHARDS_MAX + index, 0);
    for (const wait of [...this.#waits, ...this.#later]) wait.shards &= ~(1 << index);
    for (const note of this.#notes) note.counts[index] = 0;
    this.#pendingHandled[index] = 0;
    this.#isUnanswered = true;
  }

  /** A marked run of shard `source` is handled. */
  onHandled(source: number): void {
    this.#handled[source]!++;
    this.#hasHandled = true;
  }

  /** Before what was handled is shown to other shards: it goes to the journal first. */
  submit(): void {
    const { journal, kept } = this.#parts;
    kept.beforeSubmit();
    const isAnyHandled = this.#hasHandled;
    if (isAnyHandled) {
      this.#hasHandled = false;
      this.#journalHandled();
      this.#notes.push({ position: journal.appended, counts: this.#handled.slice() });
    }
    journal.submit();
    this.#submits++;
    if (isAnyHandled) this.#sayHandled();
    if (this.#later.length === 0) return;
    for (const wait of this.#later) wait.position = journal.appended;
    this.#waits.push(...this.#later);
    this.#later = [];
    if (journal.durable < journal.appended) return;
    // Not now, in the middle of a flush.
    this.#isUnanswered = true;
    this.#parts.schedule();
  }

  /** What is handled of each shard is journaled with what came of it: runs may be pending. */
  #journalHandled(): void {
    const { journal, shardIndex, shardCount } = this.#parts;
    for (let source = 0; source < shardCount; source++) {
      const handled = this.#handled[source]!;
      if (this.#pendingHandled[source] === handled) continue;
      this.#pendingHandled[source] = handled;
      journal.handled(shardIndex, source, handled);
    }
  }

  /** More of the journal is durable. */
  onDurable(): void {
    this.#parts.kept.onDurable();
    this.#sayHandled();
    this.#answer();
    this.#parts.schedule();
  }

  /** Once a turn: others may have said something, and the disk may take more. */
  onTurn(): void {
    if (this.#held.size > 0) {
      if (this.#mayGoOn) this.#held.letGo(this.#parts.journal.isStoreFull);
      else if (this.isRefusing) this.#held.tell();
    }
    if (!this.#isUnanswered && !this.hasNews) return;
    this.#isUnanswered = false;
    this.#seen = this.#sum();
    this.#answer();
  }

  get #mayGoOn(): boolean {
    const areHeld = this.orphaned.areAny || this.#parts.takeover.cutHolds.areAny;
    return !areHeld && !this.isFull && !this.isRefusing;
  }

  /** Another shard has said something since the last look: a shard that sleeps would not see it. */
  get hasNews(): boolean {
    return this.#waits.length > 0 && this.#sum() !== this.#seen;
  }

  #sum(): number {
    const { shardIndex, shardCount } = this.#parts;
    let sum = 0;
    for (let shard = 0; shard < shardCount; shard++) {
      sum = (sum + Atomics.load(this.#words, shard * SHARDS_MAX + shardIndex)) | 0;
    }
    return sum;
  }

  /** Says what is durable of that which other shards have sent. */
  #sayHandled(): void {
    const notes = this.#notes;
    const { journal, shardIndex, link } = this.#parts;
    let said = 0;
    while (said < notes.length && notes[said]!.position <= journal.durable) said++;
    if (said === 0) return;
    const { counts } = notes[said - 1]!;
    notes.splice(0, said);
    for (let source = 0; source < SHARDS_MAX; source++) {
      const at = shardIndex * SHARDS_MAX + source;
      if (Atomics.load(this.#words, at) === counts[source]) continue;
      Atomics.store(this.#words, at, counts[source]!);
      link.wake(source);
    }
  }

  #answer(): void {
    const ready: Wait[] = [];
    this.#waits = this.#waits.filter((wait) => {
      if (!this.#isDurable(wait)) return true;
      ready.push(wait);
      return false;
    });
    for (const { done, isLost } of ready) done(isLost);
  }

  #isDurable(wait: Wait): boolean {
    if (wait.position > this.#parts.journal.durable) return false;
    return this.#areKept(wait.shards, wait.targets);
  }

  /** Whether each of these shards has as many marked runs on disk as that. */
  #areKept(shards: number, targets: Int32Array): boolean {
    for (let left = shards; left !== 0; left &= left - 1) {
      const shard = lowestBit(left);
      const at = shard * SHARDS_MAX + this.#parts.shardIndex;
      if (((Atomics.load(this.#words, at) - targets[shard]!) | 0) < 0) return false;
    }
    return true;
  }
}
