/** Mutations of src/router: see mutation.ts. */
import type { Mutation } from './mutation.js';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: "order: a ring's head is stored, but its last record is not read",
    test: 'unit/router/ring.test.ts',
    red: 'shows a record only after publish',
    edits: [
      {
        file: 'src/router/ring-reader.ts',
        text: '(words[at + RECORD_MASK] & this.#readerBit) === 0',
        by: 'tail === headPosition || (words[at + RECORD_MASK] & this.#readerBit) === 0',
      },
    ],
  },
  {
    name: 'retained: an empty payload does not clear [MQTT-3.3.1-10]',
    test: 'unit/router/retained-store.test.ts',
    red: 'has room for a new topic once one was cleared',
    edits: [
      {
        file: 'src/router/retained-message.ts',
        text: 'return payloadStart === end ? -1 : last;',
        by: 'return payloadStart > end ? -1 : last;',
      },
    ],
  },
  {
    name: 'retained: the first message of a run is kept, not the last',
    test: 'unit/router/retained-store.test.ts',
    red: 'counts one refusal for a run, of which it would have kept one message',
    edits: [
      {
        file: 'src/router/retained-message.ts',
        text: 'next = frameEnd(buffer, last)) last = next;',
        by: 'next = end) frameEnd(buffer, next - 1);',
      },
    ],
  },
  {
    name: 'retained: more messages than maxRetainedMessages',
    test: 'unit/router/retained-store.test.ts',
    red: 'keeps no third topic, and counts it',
    edits: [
      {
        file: 'src/router/retained-store.ts',
        text: 'if (isInBytes && this.#messages < maxRetainedMessages) return true;',
        by: 'if (isInBytes && this.#messages <= maxRetainedMessages) return true;',
      },
    ],
  },
  {
    name: 'retained: what comes before the SUBACK does not stand for what its owner has answered',
    test: 'unit/router/opening.test.ts',
    red: 'brings the newest of what has come meanwhile in place of what its owner has',
    edits: [
      {
        file: 'src/router/retained-found.ts',
        text: 'if (opening.newer.has(found.topicKey)) continue;',
        by: '',
      },
    ],
  },
  {
    name: 'retained: what another shard sent before it confirmed is taken for newer',
    test: 'unit/router/opening.test.ts',
    red: 'leaves to the answer what the other shard has sent before it confirms',
    edits: [
      {
        file: 'src/router/opening.ts',
        text: 'if (!this.isRouted && !isLocal) return false;',
        by: '',
      },
    ],
  },
  {
    name: 'forms: frames with an alias go out longer than their receiver takes [MQTT-3.1.2-24]',
    test: 'unit/router/delivery-forms.test.ts',
    red: 'every client gets every message in its own form',
    edits: [
      {
        file: 'src/router/run-forms.ts',
        text: 'run.bytes <= receiver.maximumPacketSize;',
        by: 'true;',
      },
    ],
  },
  {
    name: 'forms: what waits for a session that is kept loses its properties',
    test: 'unit/router/delivery-forms.test.ts',
    red: 'what waits for a client of 3.1.1 has properties when it comes back with 5.0',
    edits: [
      {
        file: 'src/router/run-forms.ts',
        text: ' || !session.endsWithConnection) return null;',
        by: ') return null;',
      },
    ],
  },
  {
    name: 'retained: live messages keep RETAIN [MQTT-3.3.1-9]',
    test: 'conformance/04-retain.test.ts',
    red: 'established subscribers get a retained message with RETAIN 0',
    edits: [
      {
        file: 'src/router/delivery.ts',
        text: 'copyRunWithHeader(buffer, start, end, arena.buffer, at, PUBLISH_QOS0);',
        by: 'copyRunWithHeader(buffer, start, end, arena.buffer, at, header);',
      },
    ],
  },
  {
    name: 'routes: a cached one is kept though a filter that matches it has come',
    test: 'unit/router/route-model.test.ts',
    red: 'after any changes of filters a cached route is what a fresh match finds',
    edits: [
      {
        file: 'src/router/route-changes.ts',
        text: 'if (filterKey !== NO_FILTER && matchesKey(filterKey, topicKey)) return false;',
        by: 'matchesKey(filterKey, topicKey);',
      },
    ],
  },
  {
    name: 'routes: a cached one is kept though more has changed than is known',
    test: 'unit/router/route-changes.test.ts',
    red: 'spare nothing when the first of them is not known any more',
    edits: [
      {
        file: 'src/router/route-changes.ts',
        text: `if (last - since > ROUTE_CHANGES_KEPT) return false;
`,
        by: '',
      },
    ],
  },
  {
    name: 'groups: a member is given in one go what it may not be sent',
    test: 'unit/router/group-strategy.test.ts',
    red: 'gives none at a time more than half of what it may have in flight',
    edits: [
      {
        file: 'src/router/group-strategy.ts',
        text: 'Math.min(Math.floor(this.#pace.messages / among), inflightMax >> 1);',
        by: 'Math.floor(this.#pace.messages / among) + 0 * inflightMax;',
      },
    ],
  },
  {
    name: 'groups: what a member was due and has gone to others is forgotten',
    test: 'unit/router/group-strategy.test.ts',
    red: 'gives a run to one member where a piece is longer, and each as many as the others',
    edits: [
      {
        file: 'src/router/group-strategy.ts',
        text: 'candidate.due = due;',
        by: 'candidate.due = 0;',
      },
    ],
  },
  {
    name: 'groups: a kept member that reads nothing is given more',
    test: 'broker/group-slow.test.ts',
    red: 'leaves all to another when its session ends, on shard 0',
    edits: [
      {
        file: 'src/router/member-state.ts',
        text: 'return outlet.isStalled || kept.queue.onDisk > 0;',
        by: 'return kept.queue.onDisk < 0;',
      },
    ],
  },
  {
    name: 'groups: what is held for a member goes with it',
    test: 'broker/group-slow.test.ts',
    red: 'leaves all to another when its session ends, on shard 0',
    edits: [
      {
        file: 'src/router/members.ts',
        text: 'for (const { run, row } of member.held.splice(0)) this.#handBack(member, run, row);',
        by: 'member.held.splice(0);',
      },
    ],
  },
  {
    name: 'groups: what members give back goes behind what nobody was given',
    test: 'unit/router/group-queue.test.ts',
    red: 'has what members give back before what nobody was given',
    edits: [
      {
        file: 'src/router/group-queue.ts',
        text: 'this.hasGivenWay = this.#unreadBehind(returned);',
        by: '',
      },
    ],
  },
  {
    name: 'groups: what is gone is read again where others come back before it',
    test: 'unit/router/group-queue.test.ts',
    red: 'has nothing again that is gone, but is on disk still',
    edits: [
      {
        file: 'src/router/group-queue.ts',
        text: 'this.#readableAt = this.#rows!.appended;',
        by: '',
      },
    ],
  },
  {
    name: 'groups: what waited in memory gets no rows as its group comes to be kept',
    test: 'unit/router/group-queue.test.ts',
    red: 'keeps what waited in memory when it comes to be kept',
    edits: [
      {
        file: 'src/router/group-queue.ts',
        text: 'this.#putKept(rows, this.#own, this.#onDisk, keptOf(run), run, null);',
        by: 'this.#append(keptOf(run), run.header, undefined as never);',
      },
    ],
  },
  {
    name: 'groups: what was on its way goes behind what waited at a start',
    test: 'unit/router/group-queue.test.ts',
    red: 'has what was on its way first when the process has ended',
    edits: [
      {
        file: 'src/router/group-rows.ts',
        text: 'this.putFoundFirst(groupKey, run, header);',
        by: 'this.putFound(groupKey, run, header);',
      },
    ],
  },
  {
    name: 'groups: what comes back ends the look at what came before it',
    test: 'unit/shard/group-owner.test.ts',
    red: 'gives all that waits, whatever comes back meanwhile',
    edits: [
      {
        file: 'src/router/groups.ts',
        text: 'if (inMemory === 0 || queue.hasGivenWay) group.upTo = queue.end;',
        by: 'if (inMemory === 0) group.upTo = queue.end;',
      },
    ],
  },
  {
    name: 'groups: what goes back to a successor goes back once more',
    test: 'unit/shard/found-in-store.test.ts',
    red: 'what a member gives back to its group on a successor goes back once',
    edits: [
      {
        file: 'src/router/members.ts',
        text: 'const isHeld = this.#arrived.get(index);',
        by: 'const isHeld = heldRows(this.#members.values(), index);',
      },
    ],
  },
  {
    name: 'groups: the pace of before a pause goes on behind it',
    test: 'unit/router/group-strategy.test.ts',
    red: 'deals out evenly again behind a pause',
    edits: [
      {
        file: 'src/router/group-pace.ts',
        text: 'const isLate = elapsed >= 2 * GROUP_PACE_PERIOD_MS;',
        by: 'const isLate = this.#count === 0;',
      },
    ],
  },
  {
    name: 'replays: an owner that has died has sent all, though it has a successor',
    test: 'broker/replay-death.test.ts',
    red: 'asked of its successor',
    edits: [
      {
        file: 'src/router/retained-replay.ts',
        text: 'replay.loseOwner(index, this.#owners.isKept)',
        by: 'replay.loseOwner(index, false)',
      },
    ],
  },
];
