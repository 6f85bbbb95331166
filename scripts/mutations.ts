/**
 * The mutation table: what is broken on purpose, and the test that must turn red for it. Run by
 * `npm run mutate`, which says so when a text is no longer where it was.
 */

/** A piece of text that stands once in a file, and what it is replaced by. */
export interface Edit {
  readonly file: string;
  readonly text: string;
  readonly by: string;
}

/** A rule that is broken. */
export interface Mutation {
  /** What the broker does then. */
  readonly name: string;
  /** Test file that guards the rule, below test/. */
  readonly test: string;
  /** Part of the name of the test in it that must fail. */
  readonly red: string;
  readonly edits: readonly Edit[];
}

/** By theme. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'scan: a run joins frames of another topic',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'finds the packets that mqtt-packet finds, in the longest runs',
    edits: [
      {
        file: 'src/protocol/frame-scan.ts',
        text: 'if (!topicFieldsEqual(view, bodyStart, topicEnd, distance)) break;',
        by: 'if (!topicFieldsEqual(view, bodyStart, bodyStart + 2, distance)) break;',
      },
    ],
  },
  {
    name: 'scan: a run joins frames of another QoS',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'finds the packets that mqtt-packet finds, in the longest runs',
    edits: [
      {
        file: 'src/protocol/frame-scan.ts',
        text: 'if (next !== header && (next !== (header | DUP) || !hasIds)) break;',
        by: 'if ((next & 0xf0) !== (header & 0xf0)) break;',
      },
    ],
  },
  {
    name: 'scan: packet id 0 is taken inside of a run',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'PUBLISH with packet id 0 [MQTT-2.3.1-1]',
    edits: [
      {
        file: 'src/protocol/frame-scan.ts',
        text: `if (packetId === 0) break;
        packetIds[count] = packetId;`,
        by: 'packetIds[count] = packetId;',
      },
    ],
  },
  {
    name: 'scan: the second frame of a run may be too large',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'a frame over the limit behind others of the same topic',
    edits: [
      {
        file: 'src/protocol/frame-scan.ts',
        text: '|| frameEnd - position > maxPacketBytes) break;',
        by: ') break;',
      },
    ],
  },
  {
    name: 'scan: a fifth byte of length is read',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'hands over all that precedes a forbidden frame, in every split',
    edits: [
      {
        file: 'src/protocol/frame-scan.ts',
        text: 'if (shift > 21) throw lengthTooLong();',
        by: 'if (shift > 28) throw lengthTooLong();',
      },
    ],
  },
  {
    name: 'scan: every ack of a row is the first one',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'finds the packets that mqtt-packet finds, in the longest runs',
    edits: [
      {
        file: 'src/protocol/frame-scan.ts',
        text: `packetIds[count++] = packetId;
      position += 4;`,
        by: `packetIds[count++] = packetIds[0];
      position += 4;`,
      },
    ],
  },
  {
    name: 'window: what is sent for the first time has DUP [MQTT-3.3.1-3]',
    test: 'conformance/03-publish-qos.test.ts',
    red: 'DUP is not propagated to subscribers',
    edits: [
      {
        file: 'src/sessions/outgoing-window.ts',
        text: 'const header = PUBLISH | (qos << 1);',
        by: 'const header = PUBLISH | (qos << 1) | DUP;',
      },
    ],
  },
  {
    name: 'acks: PUBACKs in the opposite order [MQTT-4.6.0-2]',
    test: 'conformance/09-order.test.ts',
    red: 'QoS 1 keeps the order of each publisher and topic on every shard',
    edits: [
      {
        file: 'src/connection/append-acks.ts',
        text: 'writeAck(buffer, at, type, packetIds[index]);',
        by: 'writeAck(buffer, at, type, packetIds[count - 1 - index]);',
      },
    ],
  },
  {
    name: 'acks: none for the last message of a run [MQTT-4.3.2-2]',
    test: 'conformance/03-publish-qos.test.ts',
    red: 'packet ids of unacknowledged deliveries are all different and never 0',
    edits: [
      {
        file: 'src/connection/handle-publish.ts',
        text: 'if (qos === 1) acknowledge(connection, PacketType.puback, count);',
        by: 'if (qos === 1) acknowledge(connection, PacketType.puback, Math.max(1, count - 1));',
      },
    ],
  },
  {
    name: 'acks: PUBACK for what was not accepted [MQTT-4.3.2-2]',
    test: 'broker/shutdown.test.ts',
    red: 'every message that was acknowledged reaches its subscribers first',
    edits: [
      {
        file: 'src/connection/handle-publish.ts',
        text: `if (route.isPublishable) {
      host.router.publish(connection.id, route, buffer, start, end, header, count);
    }
    if (qos === 1)`,
        by: `if (route.isPublishable && (qos === 0 || count < 100)) {
      host.router.publish(connection.id, route, buffer, start, end, header, count);
    }
    if (qos === 1)`,
      },
    ],
  },
  {
    name: 'acks: a repeated packet id is taken for the same message after PUBACK [MQTT-4.3.2-2]',
    test: 'conformance/03-publish-qos.test.ts',
    red: 'after PUBACK the packet id stands for a new message',
    edits: [
      {
        file: 'src/connection/handle-publish.ts',
        text: `if (qos === 2) {
    routeNewOnly`,
        by: `if (qos === 2 || connection.session!.incomingQos2?.has(host.scan.packetIds[0])) {
    routeNewOnly`,
      },
      {
        file: 'src/connection/handle-publish.ts',
        text: 'if (qos === 1) acknowledge(connection, PacketType.puback, count);',
        by: `if (qos === 1) acknowledge(connection, PacketType.puback, count);
    if (qos === 1) connection.session!.acceptQos2(host.scan.packetIds[0]);`,
      },
    ],
  },
  {
    name: 'acks: none for the messages of a run behind the 99th [MQTT-4.3.2-2]',
    test: 'conformance/03-publish-qos.test.ts',
    red: 'a packet id again and again in one write is a message and a PUBACK each time',
    edits: [
      {
        file: 'src/connection/handle-publish.ts',
        text: 'if (qos === 1) acknowledge(connection, PacketType.puback, count);',
        by: 'if (qos === 1) acknowledge(connection, PacketType.puback, Math.min(count, 99));',
      },
    ],
  },
  {
    name: "acks: leave before the ring's head is stored",
    test: 'unit/shard/turn.test.ts',
    red: 'drains, stores the ring, flushes each outbox once, and sleeps',
    edits: [
      {
        file: 'src/shard/turn.ts',
        text: `this.#link.flush();
    const dirty`,
        by: 'const dirty',
      },
      {
        file: 'src/shard/turn.ts',
        text: `this.#dirtyCount = 0;
    arena.rewind();`,
        by: `this.#link.flush();
    this.#dirtyCount = 0;
    arena.rewind();`,
      },
    ],
  },
  {
    name: 'acks: PUBREC for a QoS 2 message that is released already is missing',
    test: 'conformance/03-publish-qos.test.ts',
    red: 'PUBREL for an unknown packet id is answered by PUBCOMP',
    edits: [
      {
        file: 'src/connection/handle-acks.ts',
        text: 'appendAcks(connection, PacketType.pubcomp, count);',
        by: 'if (session.incomingQos2 !== null) appendAcks(connection, PacketType.pubcomp, count);',
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
    name: 'QoS 2: PUBREL releases nothing',
    test: 'conformance/03-publish-qos.test.ts',
    red: 'after PUBCOMP the packet id stands for a new message, with',
    edits: [
      {
        file: 'src/connection/handle-acks.ts',
        text: 'session.incomingQos2?.release(packetIds[at]);',
        by: 'session.incomingQos2?.has(packetIds[at]);',
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
        text: 'this.incomingQos2.restore(snapshot.incomingQos2);',
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
        text: `inflight.setWord(offset, AWAITING_PUBCOMP | this.#lastStamp);
    return true;`,
        by: `this.#end(packetId, state);
    return true;`,
      },
    ],
  },
  {
    name: 'QoS 2: after PUBREC the message is sent again, not PUBREL',
    test: 'unit/sessions/outgoing-window.test.ts',
    red: '',
    edits: [
      {
        file: 'src/sessions/outgoing-window.ts',
        text: `if (state === AWAITING_PUBCOMP) {
        if (end - out`,
        by: `if (state === FREE_NEVER) {
        if (end - out`,
      },
      {
        file: 'src/sessions/outgoing-window.ts',
        text: 'export class OutgoingWindow {',
        by: `const FREE_NEVER = 99;
export class OutgoingWindow {`,
      },
    ],
  },
  {
    name: 'window: sent again without DUP [MQTT-3.3.1-1]',
    test: 'unit/sessions/outgoing-window.test.ts',
    red: 'after a reconnect the unacknowledged go first, with DUP, in',
    edits: [
      {
        file: 'src/sessions/outgoing-window.ts',
        text: 'runs.headerAt(this.#againEntry) | DUP;',
        by: 'runs.headerAt(this.#againEntry);',
      },
    ],
  },
  {
    name: 'window: new messages before those sent again [MQTT-4.6.0-1]',
    test: 'unit/sessions/outgoing-window.test.ts',
    red: 'a snapshot through msgpackr restores ids, states, order and',
    edits: [
      {
        file: 'src/sessions/outgoing-window.ts',
        text: `out = this.#fillAgain(target, out, end, stamp);
      if (this.#inflight.marked > 0) return out;
    }
    return this.#fillNew(target, out, end, stamp);`,
        by: `out = this.#fillNew(target, out, end, stamp);
      return this.#fillAgain(target, out, end, stamp);
    }
    return this.#fillNew(target, out, end, stamp);`,
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
        text: `const room = this.#limits.maxInflight - inflight.span;
      if (room <= 0) break;`,
        by: `const room = this.#limits.maxInflight + 1 - inflight.span;
      if (room <= 0) break;`,
      },
    ],
  },
  {
    name: 'window: packet ids come round to 0 [MQTT-2.3.1-1]',
    test: 'unit/sessions/outgoing-window.test.ts',
    red: 'a snapshot through msgpackr restores ids, states, order and',
    edits: [
      {
        file: 'src/sessions/inflight.ts',
        text: 'return id > PACKET_ID_MAX ? id - PACKET_ID_MAX : id;',
        by: 'return id > PACKET_ID_MAX ? id - PACKET_ID_MAX - 1 : id;',
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
        text: 'if (count > allowed || this.queuedBytes + bytes > limits.maxQueuedBytes) {',
        by: 'if (count > allowed) {',
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
    name: 'bounds: a client has one filter more than maxSubscriptions',
    test: 'broker/bounds.test.ts',
    red: 'refuses filters beyond it, one by one, and counts and tells them',
    edits: [
      {
        file: 'src/connection/handle-subscribe.ts',
        text: 'if (added.size >= room) {',
        by: 'if (added.size > room) {',
      },
    ],
  },
  {
    name: "order: a ring's head is stored, but its last record is not read",
    test: 'unit/router/ring.test.ts',
    red: 'shows a record only after publish',
    edits: [
      {
        file: 'src/router/ring.ts',
        text: '(words[at + RECORD_MASK] & this.#readerBit) === 0',
        by: 'tail === headPosition || (words[at + RECORD_MASK] & this.#readerBit) === 0',
      },
    ],
  },
  {
    name: 'order: newer runs of a session that moves are lost',
    test: 'unit/shard/takeover-model.test.ts',
    red: 'gets every message once and in order, whatever overtakes what',
    edits: [
      {
        file: 'src/sessions/session.ts',
        text: 'if (newer !== null) {',
        by: 'if (newer !== null && newer.queuedMessages === -1) {',
      },
    ],
  },
  {
    name: 'takeover: the old connection is left open [MQTT-3.1.4-2]',
    test: 'conformance/08-takeover.test.ts',
    red: '',
    edits: [
      {
        file: 'src/shard/takeover.ts',
        text: `registry.get(connection.clientId)?.outlet?.closeConnection(CloseReason.takenOver);
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
        text: `} else if (packet.cleanSession) {
      registry.end(session);
      this.#begin(pending);
    } else {`,
        by: '} else {',
      },
    ],
  },
  {
    name: 'retained: an empty payload does not clear [MQTT-3.3.1-10]',
    test: 'unit/router/retained-store.test.ts',
    red: 'has room for a new topic once one was cleared',
    edits: [
      {
        file: 'src/router/retained-store.ts',
        text: 'if (payloadStart === end) {',
        by: 'if (payloadStart > end) {',
      },
    ],
  },
  {
    name: 'retained: the first message of a run is kept, not the last',
    test: 'unit/router/retained-store.test.ts',
    red: 'counts one refusal for a run, of which it would have kept one message',
    edits: [
      {
        file: 'src/router/retained-store.ts',
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
    name: 'retained: live messages keep RETAIN [MQTT-3.3.1-9]',
    test: 'conformance/04-retain.test.ts',
    red: 'established subscribers get a retained message with RETAIN 0',
    edits: [
      {
        file: 'src/router/router.ts',
        text: 'copyRunWithHeader(buffer, start, end, arena.buffer, at, PUBLISH_QOS0);',
        by: 'copyRunWithHeader(buffer, start, end, arena.buffer, at, header);',
      },
    ],
  },
  {
    name: 'keep alive: a silent client is closed after its keep alive alone [MQTT-3.1.2-24]',
    test: 'conformance/07-keep-alive.test.ts',
    red: 'silent clients are closed, others are not',
    edits: [
      {
        file: 'src/connection/connection.ts',
        text: 'this.keepAliveMs * 1.5',
        by: 'this.keepAliveMs * 0.5',
      },
    ],
  },
  {
    name: 'keep alive: a silent client is closed after ten times its keep alive [MQTT-3.1.2-24]',
    test: 'conformance/07-keep-alive.test.ts',
    red: '',
    edits: [
      {
        file: 'src/connection/connection.ts',
        text: 'this.keepAliveMs * 1.5',
        by: 'this.keepAliveMs * 10',
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
    name: 'close: the will of a client that said DISCONNECT is published [MQTT-3.1.2-10]',
    test: 'conformance/06-will.test.ts',
    red: 'a will is not published after DISCONNECT',
    edits: [
      {
        file: 'src/connection/connection.ts',
        text: 'reason !== CloseReason.clientDisconnected && reason !== CloseReason.serverShutdown;',
        by: 'reason !== CloseReason.serverShutdown;',
      },
      {
        file: 'src/connection/dispatch.ts',
        text: `connection.will = null; // [MQTT-3.14.4-3]
`,
        by: '',
      },
    ],
  },
  {
    name: 'back-pressure: nobody is held back',
    test: 'broker/slow-reader.test.ts',
    red: 'does not stop fast readers of QoS 0, and what it loses is counted',
    edits: [
      {
        file: 'src/shard/backpressure.ts',
        text: 'if (held === 0) this.#tell(key, true);',
        by: '',
      },
    ],
  },
  {
    name: 'back-pressure: nobody is let go on',
    test: 'unit/shard/backpressure.test.ts',
    red: 'stops reading from publishers of QoS 0 and withholds acks',
    edits: [
      {
        file: 'src/shard/backpressure.ts',
        text: `this.#tell(key, false);
      }
    }
  }`,
        by: `      }
    }
  }`,
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
    name: "back-pressure: a dead shard's publishers are held back",
    test: 'unit/shard/backpressure.test.ts',
    red: 'publishers here do not wait for a shard that died',
    edits: [
      {
        file: 'src/shard/backpressure.ts',
        text: 'this.slowDown(index, Math.floor(key / 4), (key % 4) as Slowdown, false);',
        by: 'if (key < 0) this.slowDown(index, key, Slowdown.holdAcks, false);',
      },
    ],
  },
  {
    name: 'topics: # does not include the parent level',
    test: 'unit/topics/filter-index.test.ts',
    red: 'a topic is given the filters that the plain matcher finds, each once',
    edits: [
      {
        file: 'src/topics/filter-index.ts',
        text: 'if (multi !== 0) this.#matched[this.#matchedCount++] = multi;',
        by: 'if (multi !== 0 && depth !== count) this.#matched[this.#matchedCount++] = multi;',
      },
    ],
  },
  {
    name: 'topics: wildcards match $SYS [MQTT-4.7.2-1]',
    test: 'conformance/02-subscribe.test.ts',
    red: 'filters match topics as section 4.7 says',
    edits: [
      {
        file: 'src/topics/filter-index.ts',
        text: 'const first = beginsWithDollar(topicKey) ? this.#literalOf(ROOT, 0, 0) : ROOT;',
        by: 'const first = ROOT;',
      },
    ],
  },
];
