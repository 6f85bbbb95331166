/**
 * A shard that does nothing but send and check records (traffic.ts). A record that is wrong ends
 * it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { PeerLink, type RecordHandler } from '../../src/router/peer-link.js';
import type { FromRingWorker, RingWorkerData, ToRingWorker } from './traffic.js';
import { Traffic } from './traffic.js';

const RECORD_KIND = 9;
/** Its sender sends no more. */
const LAST_KIND = 10;
/** A sender with more than this waiting sends nothing new in this turn. */
const BACKLOG_BYTES_MAX = 1 << 20;

class RingShard implements RecordHandler {
  readonly #data: RingWorkerData;
  readonly #link: PeerLink;
  readonly #own: Traffic;
  readonly #incarnations: number[];
  readonly #expected: Traffic[];
  /** By peer: true until the first record of it has come, which may be any. */
  readonly #isUnknown: boolean[];
  /** Peers that have not said their last. */
  readonly #talking: Set<number>;
  readonly #received: number[];
  readonly #buffer = Buffer.alloc(150_000);
  #recordsLeft: number;
  #saidLast = false;
  #large = 0;
  #fullFlushes = 0;
  #wakeUps = 0;
  #receivedTotal = 0;
  #isTurnDue = false;
  #isDone = false;

  constructor(data: RingWorkerData) {
    const { shardIndex, shardCount, incarnations } = data;
    this.#data = data;
    this.#incarnations = [...incarnations];
    this.#own = new Traffic(shardIndex, incarnations[shardIndex], shardCount);
    const peers = Array.from({ length: shardCount }, (_, index) => index);
    this.#expected = peers.map((index) => new Traffic(index, incarnations[index], shardCount));
    this.#isUnknown = peers.map(() => data.isLate);
    this.#talking = new Set(peers.filter((index) => index !== shardIndex));
    this.#received = peers.map(() => 0);
    this.#recordsLeft = data.records;
    this.#link = new PeerLink({
      ...data,
      onDoorbell: () => {
        this.#wakeUps++;
        this.turnSoon();
      },
    });
  }

  onRecord(
    from: number,
    kind: number,
    word0: number,
    word1: number,
    _word2: number,
    _word3: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    if (kind === LAST_KIND) {
      this.#talking.delete(from);
      return;
    }
    const expected = this.#expected[from];
    check(word1 === this.#incarnations[from], `${from} is not the one it was`);
    if (this.#isUnknown[from]) {
      while (expected.sequence < word0) expected.next();
      this.#isUnknown[from] = false;
    } else {
      do expected.next();
      while ((expected.shardMask & (1 << this.#data.shardIndex)) === 0);
    }
    check(word0 === expected.sequence, `${word0} of ${from}, expected ${expected.sequence}`);
    check(kind === RECORD_KIND, `kind ${kind} of ${from}`);
    check(expected.holds(buffer, start, end), `content of ${word0} of ${from}`);
    this.#received[from]++;
    if (++this.#receivedTotal === this.#data.progressAfter) post({ kind: 'progress' });
  }

  onMessage(message: ToRingWorker): void {
    if (message.kind === 'finish') this.#recordsLeft = 0;
    if (message.kind === 'peer-dead') {
      this.#link.dropPeer(message.index);
      this.#talking.delete(message.index);
    }
    if (message.kind === 'peer-new') {
      const { index, incarnation, ring, doorbellWriteFd } = message;
      this.#link.replacePeer(index, ring, doorbellWriteFd);
      this.#expected[index] = new Traffic(index, incarnation, this.#data.shardCount);
      this.#incarnations[index] = incarnation;
      this.#talking.add(index);
    }
    this.turnSoon();
  }

  turnSoon(): void {
    if (this.#isTurnDue || this.#isDone) return;
    this.#isTurnDue = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#isTurnDue = false;
    const drained = this.#link.drain(this, this.#data.drainBytes);
    this.#sendBatch();
    this.#link.flush();
    if (this.#link.backlogBytes > 0) this.#fullFlushes++;
    const isWaiting = this.#recordsLeft === 0 || this.#link.backlogBytes > BACKLOG_BYTES_MAX;
    if (this.#saidLast && this.#talking.size === 0 && this.#link.backlogBytes === 0) this.#end();
    else if (drained > 0 || !isWaiting || !this.#link.sleep()) this.turnSoon();
  }

  #sendBatch(): void {
    for (let sent = 0; sent < this.#data.batch; sent++) {
      if (this.#recordsLeft === 0 || this.#link.backlogBytes > BACKLOG_BYTES_MAX) break;
      this.#recordsLeft--;
      const { shardIndex, incarnations } = this.#data;
      const own = this.#own;
      own.next();
      own.fill(this.#buffer);
      if (own.length > 16_384) this.#large++;
      this.#link.send(
        RECORD_KIND,
        own.shardMask,
        own.sequence,
        incarnations[shardIndex],
        0,
        0,
        this.#buffer,
        0,
        own.length,
      );
      // The caller's buffer is its own again at once: what waits must be a copy.
      this.#buffer.fill(0xee, 0, own.length);
    }
    if (this.#recordsLeft === 0 && !this.#saidLast) {
      this.#saidLast = true;
      this.#link.send(LAST_KIND, 0xffffffff, 0, 0, 0, 0, this.#buffer, 0, 0);
    }
  }

  #end(): void {
    this.#isDone = true;
    this.#link.close();
    post({
      kind: 'done',
      report: {
        sent: this.#own.sequence + 1,
        received: this.#received,
        large: this.#large,
        fullFlushes: this.#fullFlushes,
        wakeUps: this.#wakeUps,
      },
    });
    parentPort?.close();
  }
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`wrong record: ${what}`);
}

function post(message: FromRingWorker): void {
  parentPort?.postMessage(message);
}

const shard = new RingShard(workerData as RingWorkerData);
parentPort?.on('message', (message: ToRingWorker) => shard.onMessage(message));
shard.turnSoon();
