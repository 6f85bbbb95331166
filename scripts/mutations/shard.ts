/** Mutations of src/shard: see mutation.ts. */
import type { Mutation } from './mutation.js';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: "acks: leave before the ring's head is stored",
    test: 'unit/shard/turn.test.ts',
    red: 'drains, stores the ring, flushes each outbox once, and sleeps',
    edits: [
      {
        file: 'src/shard/turn.ts',
        text: `this.#link.flush();
    if (this.#dirtyCount > 0) this.#link.tell();
    this.#flushOutboxes();`,
        by: `if (this.#dirtyCount > 0) this.#link.tell();
    this.#flushOutboxes();
    this.#link.flush();`,
      },
    ],
  },
  {
    name: 'acks: leave before the other shards are told that they do',
    test: 'unit/shard/turn.test.ts',
    red: 'drains, stores the ring, flushes each outbox once, and sleeps',
    edits: [
      {
        file: 'src/shard/turn.ts',
        text: `if (this.#dirtyCount > 0) this.#link.tell();
    this.#flushOutboxes();`,
        by: `this.#flushOutboxes();
    this.#link.tell();`,
      },
    ],
  },
  {
    name: 'acks: leave while what they acknowledge waits for room in the ring',
    test: 'unit/shard/ring-waits.test.ts',
    red: 'is answered for nothing that is not on the ring',
    edits: [
      {
        file: 'src/shard/ring-waits.ts',
        text: 'if (link.backlogBytes > 0) {',
        by: 'if (link.backlogBytes < 0) {',
      },
    ],
  },
  {
    name: 'takeover: the old connection is left open [MQTT-3.1.4-2]',
    test: 'conformance/08-takeover.test.ts',
    red: 'the old connection is closed and the new one goes on',
    edits: [
      {
        file: 'src/shard/takeover.ts',
        text: `former?.outlet?.closeConnection(CloseReason.takenOver);
    this.#endAbsence(clientId);
`,
        by: '',
      },
    ],
  },
  {
    name: "takeover: a clean session keeps the old one's state [MQTT-3.1.2-6]",
    test: 'conformance/08-takeover.test.ts',
    red: 'a clean session takes the client id and throws the old session away',
    edits: [
      {
        file: 'src/shard/takeover.ts',
        text: `} else if (request.cleanStart) {
      const isStored = session.kept !== null;
      registry.end(session);
      if (isStored) this.#beginAnew(pending, session);
      else this.#begin(pending);
    } else {`,
        by: '} else {',
      },
    ],
  },
  {
    name: 'close: a client that does not read is waited for',
    test: 'broker/shutdown.test.ts',
    red: 'a client that does not read',
    edits: [
      {
        file: 'src/shard/shutdown.ts',
        text: `if (outbox.isStalled) continue;
`,
        by: '',
      },
      {
        file: 'src/shard/shutdown.ts',
        text: `else if (monotonicMs() - movedAt > shard.config.slowConsumerTimeoutMs) break;
`,
        by: '',
      },
    ],
  },
  {
    name: 'close: one that is slow is waited for without end',
    test: 'broker/shutdown.test.ts',
    red: 'a client that is slow without end',
    edits: [
      {
        file: 'src/shard/shutdown.ts',
        text: 'unsent > 0 && monotonicMs() < deadline',
        by: 'unsent > 0',
      },
    ],
  },
  {
    name: 'back-pressure: nobody is held back',
    test: 'unit/shard/backpressure.test.ts',
    red: 'stops reading from publishers of QoS 0 and withholds acks',
    edits: [
      {
        file: 'src/shard/backpressure.ts',
        text: 'if (held === 0 || hasTurned) this.#tell(key, true, hasTurned);',
        by: '',
      },
    ],
  },
  {
    name: 'back-pressure: nobody is let go on',
    test: 'unit/shard/backpressure.test.ts',
    red: 'lets a publisher go on when the last of its readers is relieved',
    edits: [
      {
        file: 'src/shard/backpressure.ts',
        text: `this.#held.delete(key);
      this.#tell(key, false, false);`,
        by: 'this.#held.delete(key);',
      },
    ],
  },
  {
    name: 'back-pressure: a publisher of QoS 1 is not read from',
    test: 'unit/shard/backpressure.test.ts',
    red: 'stops reading from publishers of QoS 0 and withholds acks',
    edits: [
      {
        file: 'src/shard/backpressure.ts',
        text: 'qos === 0 || outlet.isOverfull',
        by: 'qos <= 1 || outlet.isOverfull',
      },
    ],
  },
  {
    name: 'patience: a publisher waits for readers of a shard that died',
    test: 'unit/shard/patience.test.ts',
    red: 'publishers here do not wait for a shard that died',
    edits: [
      {
        file: 'src/shard/patience.ts',
        text: `this.slowDown(index, id, how, Lag.known, false);
`,
        by: '',
      },
    ],
  },
  {
    name: 'back-pressure: a reader that comes to lag lets its publishers go on',
    test: 'unit/shard/backpressure.test.ts',
    red: 'publishers do not go on when a reader that they wait for comes to lag',
    edits: [
      {
        file: 'src/shard/backpressure.ts',
        text: 'this.#hold(lagging, true);',
        by: '',
      },
    ],
  },
  {
    name: 'patience: slow readers hold a publisher back without end',
    test: 'unit/shard/patience.test.ts',
    red: 'at most two seconds while others keep up',
    edits: [
      {
        file: 'src/shard/patience.ts',
        text: 'this.asked.add(now, this.askedMs);',
        by: '',
      },
    ],
  },
  {
    name: 'patience: readers lose messages though nobody else reads',
    test: 'unit/shard/patience.test.ts',
    red: 'without end while nobody else reads',
    edits: [
      {
        file: 'src/shard/patience.ts',
        text: 'const isShared = now - this.othersSeenAt <= OTHERS_KNOWN_MS;',
        by: 'const isShared = true;',
      },
    ],
  },
  {
    name: 'patience: no minute is ever over',
    test: 'unit/shard/patience.test.ts',
    red: 'what was spent in the last minute is forgotten',
    edits: [
      {
        file: 'src/shard/patience.ts',
        text: 'this.#slices[(slice - back) % this.#slices.length] = 0;',
        by: 'this.#slice = 0;',
      },
    ],
  },
  {
    name: 'memory: it is short again at once when some has become free',
    test: 'unit/shard/memory-guard.test.ts',
    red: 'says once that memory is short',
    edits: [
      {
        file: 'src/shard/memory-guard.ts',
        text: 'this.#isShort ? MEMORY_ENOUGH_SHARE : MEMORY_SHORT_SHARE',
        by: 'MEMORY_SHORT_SHARE',
      },
    ],
  },
  {
    name: 'memory: messages for absent clients wait while it is short',
    test: 'unit/shard/memory-guard.test.ts',
    red: 'lets nothing wait for absent clients meanwhile',
    edits: [
      {
        file: 'src/shard/memory-guard.ts',
        text: 'this.#queues.allowQueued(!isShort);',
        by: 'this.#queues.allowQueued(true);',
      },
    ],
  },
  {
    name: 'memory: a flood is not looked at before the next tick',
    test: 'unit/shard/memory-guard.test.ts',
    red: 'looks when much was read',
    edits: [
      {
        file: 'src/shard/memory-guard.ts',
        text: `this.check();
    this.#nextLookAtBytes`,
        by: 'this.#nextLookAtBytes',
      },
    ],
  },
  {
    name: 'deaths: where a session is says nothing of what it was looked at for',
    test: 'unit/shard/found-in-store.test.ts',
    red: 'nor when the broker ends behind the shard that took it in, away',
    edits: [
      {
        file: 'src/shard/session-rows.ts',
        text: '{ ...row, home: shardIndex, lookedTo };',
        by: '{ ...row, home: shardIndex };',
      },
    ],
  },
  {
    name: 'deaths: what a successor sends is taken for what the dead one had sent',
    test: 'unit/shard/found-in-store.test.ts',
    red: 'what a successor sends is not taken for what the dead one had sent',
    edits: [{ file: 'src/shard/deliver-pending.ts', text: 'if (row >= end) break;', by: '' }],
  },
  {
    name: 'deaths: sessions are let go of before all know of them',
    test: 'unit/shard/found-in-store.test.ts',
    red: 'sessions that left for a shard that died stay until all know of them',
    edits: [
      {
        file: 'src/shard/peers.ts',
        text: 'else shard.interest.tellOrphaned(index, leaving, letGo);',
        by: 'else letGo();',
      },
    ],
  },
  {
    name: 'ends: filters are removed whether the ring is full or not',
    test: 'unit/shard/session-registry.test.ts',
    red: 'waits while the ring is full, and goes on before those that feed it',
    edits: [
      {
        file: 'src/shard/session-registry.ts',
        text: 'this.#ended.length > 0 && this.#parts.link.isFull;',
        by: 'false;',
      },
    ],
  },
  {
    name: 'moves: filters that come are not charged to the turn',
    test: 'unit/shard/records-in.test.ts',
    red: 'is charged to the turn: handoverFilters',
    edits: [
      {
        file: 'src/shard/records-in.ts',
        text: `shard.share.spend(WORK_PER_LOOK);
        shard.takeover`,
        by: 'shard.takeover',
      },
    ],
  },
  {
    name: 'moves: a shard is cut before what it has sent is on disk',
    test: 'unit/shard/found-in-store.test.ts',
    red: 'what is published for a session that comes waits for the disk',
    edits: [
      {
        file: 'src/shard/takeover.ts',
        text: 'if (this.#parts.registry.isStored) this.cutHolds.add(session, former, shards, cut);',
        by: 'if (this.#parts.registry === null) this.cutHolds.add(session, former, shards, cut);',
      },
    ],
  },
  {
    name: "wills: held against the rights of whoever has claimed the leaver's session",
    test: 'unit/shard/wills-in-store.test.ts',
    red: 'a will that is found is published but where who has left it may not publish it',
    edits: [
      {
        file: 'src/shard/make-access.ts',
        text: 'leftBy === null ? rights : shard.access.rightsOf(leftBy, session.clientId)',
        by: 'rights',
      },
    ],
  },
  {
    name: 'wills: the row of a discarded session goes before its will',
    test: 'unit/shard/wills-in-store.test.ts',
    red: 'so is one that is discarded for a client of another shard',
    edits: [
      {
        file: 'src/shard/session-registry.ts',
        text: 'wills.whenSent(session, () => rows?.drop(session, kept))',
        by: 'rows?.drop(session, kept)',
      },
    ],
  },
  {
    name: 'wills: the delay of those that a stop has left passes while nobody can come back',
    test: 'broker/found-wills.test.ts',
    red: 'is not published where the client is back before its delay is over',
    edits: [
      {
        file: 'src/connection/leave-will.ts',
        text: 'host.deadlines.now + delayMsOf(will));\n    return;',
        by: 'host.deadlines.now);\n    return;',
      },
    ],
  },
];
