/** Mutations of src/connection: see mutation.ts. */
import type { Mutation } from './mutation.js';

export const MUTATIONS: readonly Mutation[] = [
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
        text: 'acknowledge(connection, PacketType.puback, count);',
        by: 'acknowledge(connection, PacketType.puback, Math.max(1, count - 1));',
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
      host.router.publish(connection.id, route, buffer, start, end, header, count, traits);
    }
    if (host.isRingFull)`,
        by: `if (route.isPublishable && (qos === 0 || count < 100)) {
      host.router.publish(connection.id, route, buffer, start, end, header, count, traits);
    }
    if (host.isRingFull)`,
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
        text: 'acknowledge(connection, PacketType.puback, count);',
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
        text: 'acknowledge(connection, PacketType.puback, count);',
        by: 'acknowledge(connection, PacketType.puback, Math.min(count, 99));',
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
    name: 'QoS 2: PUBREL releases nothing',
    test: 'conformance/03-publish-qos.test.ts',
    red: 'after PUBCOMP the packet id stands for a new message, with',
    edits: [
      {
        file: 'src/connection/handle-acks.ts',
        text: 'session.releaseQos2(packetIds[at]);',
        by: 'session.incomingQos2?.has(packetIds[at]);',
      },
    ],
  },
  {
    name: 'subscribe: the first filters of a packet are handled before the last is checked',
    test: 'unit/connection/connection.test.ts',
    red: 'a SUBSCRIBE of many filters closes for its last one, and none is handled',
    edits: [
      {
        file: 'src/connection/handle-subscribe.ts',
        text: 'while (!filters.checkSome(CHECKED_BYTES_PER_PART)) yield;',
        by: 'if (!filters.checkSome(CHECKED_BYTES_PER_PART)) yield;',
      },
    ],
  },
  {
    name: 'subscribe: an UNSUBACK goes before what its write to disk has released',
    test: 'broker/unsubscribe.test.ts',
    red: 'QoS 2, cleanSession false',
    edits: [
      {
        file: 'src/connection/handle-unsubscribe.ts',
        text: 'owed.beforeSent = layOut;',
        by: '',
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
        text: 'if (this.#left <= 0 || (',
        by: 'if (this.#left < 0 || (',
      },
    ],
  },
  {
    name: 'keep alive: a silent client is closed after its keep alive alone [MQTT-3.1.2-24]',
    test: 'conformance/07-keep-alive.test.ts',
    red: 'silent clients are closed, others are not',
    edits: [
      {
        file: 'src/connection/answer-connect.ts',
        text: 'connection.keepAliveMs * 1.5',
        by: 'connection.keepAliveMs * 1',
      },
      {
        file: 'src/connection/signs-of-life.ts',
        text: 'connection.keepAliveMs * 1.5',
        by: 'connection.keepAliveMs * 1',
      },
    ],
  },
  {
    name: 'keep alive: a silent client is closed after ten times its keep alive [MQTT-3.1.2-24]',
    test: 'unit/connection/connection-deadlines.test.ts',
    red: 'is closed after one and a half times that in silence',
    edits: [
      {
        file: 'src/connection/answer-connect.ts',
        text: 'connection.keepAliveMs * 1.5',
        by: 'connection.keepAliveMs * 10',
      },
    ],
  },
  {
    name: 'close: the will of a client that said DISCONNECT is published [MQTT-3.1.2-10]',
    test: 'conformance/06-will.test.ts',
    red: 'a will is not published after DISCONNECT',
    edits: [
      {
        file: 'src/connection/handle-disconnect.ts',
        text: 'if (reasonCode === NORMAL_DISCONNECTION && connection.will !== null)',
        by: 'if (reasonCode === NORMAL_DISCONNECTION && connection.will === null)',
      },
    ],
  },
  {
    name: 'keep alive: a client that has said something has ten times its keep alive',
    test: 'unit/connection/connection-deadlines.test.ts',
    red: 'counts from the last packet',
    edits: [
      {
        file: 'src/connection/signs-of-life.ts',
        text: 'keepAliveMs * 1.5',
        by: 'keepAliveMs * 10',
      },
    ],
  },
  {
    name: 'share: one lasts a millisecond longer than it says',
    test: 'unit/connection/turn-share.test.ts',
    red: 'is spent when its time is over, by whatever work',
    edits: [
      {
        file: 'src/connection/turn-share.ts',
        text: 'if (this.#clock() >= this.#end) this.isSpent = true;',
        by: 'if (this.#clock() >= this.#end + 1) this.isSpent = true;',
      },
    ],
  },
  {
    name: 'share: the first socket that is polled may take all of a turn',
    test: 'unit/connection/turn-share.test.ts',
    red: 'of one that is polled is half of what the turn has left',
    edits: [
      {
        file: 'src/connection/turn-share.ts',
        text: 'left / POLLED_PARTS',
        by: 'left',
      },
    ],
  },
  {
    name: 'share: a connection handles all that it has read',
    test: 'unit/connection/connection.test.ts',
    red: 'handles a share of it in a turn, and all of it in order',
    edits: [
      {
        file: 'src/connection/turn-share.ts',
        text: `return this.isSpent;
  }

  /** Milliseconds left`,
        by: `this.isSpent = false;
    return false;
  }

  /** Milliseconds left`,
      },
    ],
  },
  {
    name: 'busy: whoever was served comes first again',
    test: 'unit/connection/turn-share.test.ts',
    red: 'the next turn begins behind the last',
    edits: [
      {
        file: 'src/connection/busy-connections.ts',
        text: '[...waiting.slice(at), ...this.#waiting, ...again]',
        by: '[...again, ...waiting.slice(at), ...this.#waiting]',
      },
    ],
  },
  {
    name: 'busy: all are served, however long it takes',
    test: 'unit/connection/turn-share.test.ts',
    red: 'take no more of a turn than is theirs',
    edits: [
      {
        file: 'src/connection/busy-connections.ts',
        text: 'at < waiting.length && left >= (waiting[at].polledMs || SHARE_MS_MIN)',
        by: 'at < waiting.length',
      },
    ],
  },
  {
    name: 'busy: those that the event loop alone reads cost a turn nothing',
    test: 'unit/connection/turn-share.test.ts',
    red: 'those that the event loop alone reads get as much of a turn in all as others',
    edits: [
      {
        file: 'src/connection/busy-connections.ts',
        text: 'else end -= connection.polledMs;',
        by: '',
      },
    ],
  },
  {
    name: 'left: who waits for the disk is not looked after',
    test: 'unit/connection/connection-deadlines.test.ts',
    red: 'with what it publishes, and has left is closed within seconds',
    edits: [
      {
        file: 'src/connection/left-look.ts',
        text: 'const LASTING = Pause.disk | Pause.subackOwed;',
        by: 'const LASTING = Pause.subackOwed;',
      },
    ],
  },
];
