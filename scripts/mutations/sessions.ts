/** Mutations of src/sessions: see mutation.ts. */
import type { Mutation } from './mutation.js';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'window: what is sent for the first time has DUP [MQTT-3.3.1-3]',
    test: 'conformance/03-publish-qos.test.ts',
    red: 'DUP is not propagated to subscribers',
    edits: [
      {
        file: 'src/router/delivery.ts',
        text: 'const header = PUBLISH_QOS0 | (qos << QOS_SHIFT);',
        by: 'const header = PUBLISH_QOS0 | (qos << QOS_SHIFT) | 8;',
      },
    ],
  },
  {
    name: 'access: what is read from disk is not held against the rules',
    test: 'broker/kept-access.test.ts',
    red: 'is passed over where rules are others behind a start: QoS 1',
    edits: [
      {
        file: 'src/sessions/session.ts',
        text: 'if (this.window.messages.isAnyOnDisk) this.window.rights = this.rights;',
        by: '',
      },
    ],
  },
  {
    name: 'access: the rest of a queue on disk is not held against the rules',
    test: 'broker/kept-access.test.ts',
    red: 'is passed over where rules have changed: QoS 1',
    edits: [
      {
        file: 'src/sessions/window-fill.ts',
        text: 'if (messages.queuedMessages === 0 && !messages.isAnyOnDisk) window.rights = null;',
        by: 'if (messages.queuedMessages === 0) window.rights = null;',
      },
    ],
  },
  {
    name: 'QoS 2: a message sent again is routed again [MQTT-4.3.3-2]',
    test: 'conformance/03-publish-qos.test.ts',
    red: 'a QoS 2 message sent again before PUBREL is delivered once',
    edits: [
      {
        file: 'src/sessions/incoming-qos2.ts',
        text: 'if ((bits & bit) !== 0) return false;',
        by: 'if ((bits & bit) !== 0) return true;',
      },
    ],
  },
  {
    name: 'QoS 2: ids received are forgotten when the session moves',
    test: 'conformance/05-session.test.ts',
    red: 'a QoS 2 message sent again over new connections is delivered once',
    edits: [
      {
        file: 'src/sessions/session.ts',
        text: 'this.incomingQos2.restore(head.incomingQos2);',
        by: 'this.incomingQos2.restore([]);',
      },
    ],
  },
  {
    name: 'QoS 2: PUBREC ends a delivery',
    test: 'unit/sessions/outgoing-window.test.ts',
    red: 'a QoS 2 delivery ends with PUBCOMP, and every PUBREC until',
    edits: [
      {
        file: 'src/sessions/outgoing-window.ts',
        text: `inflight.setWord(offset, AWAITING_PUBCOMP | this.lastStamp);
    return true;`,
        by: `this.#end(packetId, state);
    return true;`,
      },
    ],
  },
  {
    name: 'QoS 2: after PUBREC the message is sent again, not PUBREL',
    test: 'unit/sessions/outgoing-window.test.ts',
    red: 'after a reconnect the unacknowledged go first, with DUP, in',
    edits: [
      {
        file: 'src/sessions/window-fill.ts',
        text: `if (state === AWAITING_PUBCOMP) {
      if (end - out`,
        by: `if (state === FREE_NEVER) {
      if (end - out`,
      },
      {
        file: 'src/sessions/window-fill.ts',
        text: 'export interface Filled {',
        by: `const FREE_NEVER = 99;
export interface Filled {`,
      },
    ],
  },
  {
    name: 'window: sent again without DUP [MQTT-3.3.1-1]',
    test: 'unit/sessions/outgoing-window.test.ts',
    red: 'after a reconnect the unacknowledged go first, with DUP, in',
    edits: [
      {
        file: 'src/sessions/window-fill.ts',
        text: 'runs.headerAt(entry) | DUP;',
        by: 'runs.headerAt(entry);',
      },
    ],
  },
  {
    name: 'window: new messages before those sent again [MQTT-4.6.0-1]',
    test: 'unit/sessions/outgoing-window.test.ts',
    red: 'a window that moves keeps ids, states, order and',
    edits: [
      {
        file: 'src/sessions/outgoing-window.ts',
        text: `out = fillAgain(this, target, out, end, stamp);
      if (this.messages.inflight.marked > 0) return out;
    }
    return fillNew(this, target, out, end, stamp);`,
        by: `out = fillNew(this, target, out, end, stamp);
      return fillAgain(this, target, out, end, stamp);
    }
    return fillNew(this, target, out, end, stamp);`,
      },
    ],
  },
  {
    name: 'window: one more in flight than maxInflight',
    test: 'unit/sessions/outgoing-window.test.ts',
    red: 'no more than maxInflight messages are unacknowledged',
    edits: [
      {
        file: 'src/sessions/outgoing-window.ts',
        text: 'span > 0 ? 0 : this.#inflightMax - span;',
        by: 'span > 0 ? 0 : this.#inflightMax + 1 - span;',
      },
    ],
  },
  {
    name: 'window: packet ids come round to 0 [MQTT-2.3.1-1]',
    test: 'unit/sessions/outgoing-window.test.ts',
    red: 'a window that moves keeps ids, states, order and',
    edits: [
      {
        file: 'src/sessions/inflight.ts',
        text: 'return id > PACKET_ID_MAX ? id - PACKET_ID_MAX : id;',
        by: 'return id > PACKET_ID_MAX ? id - PACKET_ID_MAX - 1 : id;',
      },
    ],
  },
  {
    name: 'kept: what has been replaced is read before it is on disk',
    test: 'unit/sessions/kept-give-way.test.ts',
    red: 'reads from disk what is newest, though an older one is there',
    edits: [
      {
        file: 'src/sessions/kept-session.ts',
        text: 'if (!queue.isSettled(position)) break;',
        by: '',
      },
    ],
  },
  {
    name: 'kept: what has replaced another message is sent before it is on disk',
    test: 'unit/sessions/kept-give-way.test.ts',
    red: 'sends what has replaced another message when it is durable',
    edits: [
      {
        file: 'src/sessions/window-messages.ts',
        text: 'if (!kept.isSendable(this.sent)) return 0;',
        by: '',
      },
    ],
  },
  {
    name: 'window: bytes that wait have no bound',
    test: 'unit/sessions/outgoing-window.test.ts',
    red: 'a queue is bounded in bytes too',
    edits: [
      {
        file: 'src/sessions/outgoing-window.ts',
        text: 'count > allowed || waitingBytes + bytes > limits.maxQueuedBytes;',
        by: 'count > allowed;',
      },
    ],
  },
  {
    name: 'window: messages that wait have no bound',
    test: 'conformance/10-limits.test.ts',
    red: 'maxQueuedMessages bounds what waits for a client, and the',
    edits: [
      {
        file: 'src/sessions/outgoing-window.ts',
        text: 'isPaced ? run.count : limits.maxQueuedMessages + room',
        by: 'limits.maxQueuedMessages + 1e9',
      },
    ],
  },
  {
    name: 'order: newer runs of a session that moves are lost',
    test: 'unit/sessions/session-restore.test.ts',
    red: 'what came meanwhile goes behind what is in flight and what waits',
    edits: [
      {
        file: 'src/sessions/session.ts',
        text: 'if (newer !== null) dropped = queueBehind(window, newer);',
        by: '',
      },
    ],
  },
  {
    name: 'total: what waits has no bound',
    test: 'unit/sessions/queued-total.test.ts',
    red: 'refuses messages for the absent beyond the limit',
    edits: [
      {
        file: 'src/sessions/queued-total.ts',
        text: 'costOf(run, this.#runs.holdersOf(run)) <= this.limit',
        by: '0 <= Infinity',
      },
    ],
  },
  {
    name: 'total: a run counts again in each queue',
    test: 'unit/sessions/queued-total.test.ts',
    red: 'counts a run once, and each queue that it is in',
    edits: [
      {
        file: 'src/sessions/queued-total.ts',
        text: `if (holders > 0) return QUEUED_ENTRY_COST_BYTES;
`,
        by: '',
      },
    ],
  },
  {
    name: 'total: as much is in flight as ever while there is little room',
    test: 'unit/sessions/queued-total.test.ts',
    red: 'lets little be in flight while there is little room',
    edits: [
      {
        file: 'src/sessions/queued-total.ts',
        text: 'return this.bytes >= NEARLY * this.limit;',
        by: 'return false;',
      },
    ],
  },
  {
    name: 'run buffers: reused while the run is still being delivered',
    test: 'unit/sessions/run-buffers.test.ts',
    red: 'is not reused before its delivery is over',
    edits: [
      {
        file: 'src/sessions/held-runs.ts',
        text: 'if (run.isInDelivery !== true) this.giveBack(run);',
        by: 'this.giveBack(run);',
      },
    ],
  },
  {
    name: 'window: acks in a row end what they are not for',
    test: 'unit/sessions/outgoing-window-model.test.ts',
    red: 'does what its model does',
    edits: [
      {
        file: 'src/sessions/inflight.ts',
        text: 'if ((word & STATE_MASK) !== state) break;',
        by: '',
      },
    ],
  },
  {
    name: 'kept: what has gone to disk alone while a client is here waits for its next CONNECT',
    test: 'broker/kept-slow.test.ts',
    red: 'gets all when it reads: QoS 1, durability fsync',
    edits: [
      {
        file: 'src/sessions/session.ts',
        text: 'this.kept?.onGrown(this);',
        by: '',
      },
    ],
  },
];
