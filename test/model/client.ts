/** One client of the model test: writes packets when told, and records what it sees and when. */
import { connect as connectSocket, type Socket } from 'node:net';
import * as packets from '../support/packets.js';
import type { Endpoint } from '../support/raw-client.js';
import {
  messageName,
  type Publishing,
  type Step,
  type SubscribedFilter,
  textOfFilter,
} from './history.js';
import {
  type ConnectionRecord,
  NEVER,
  type Publication,
  type Request,
  type SessionRecord,
  type SubscriptionChange,
} from './record.js';
import type { Recorder } from './recorder.js';
import * as wire from './wire.js';

type ConnectStep = Extract<Step, { do: 'connect' }>;

const ACK_KINDS: Readonly<Record<number, Request['kind']>> = {
  2: 'connect',
  4: 'publish',
  5: 'publish',
  7: 'pubrel',
  9: 'subscribe',
  11: 'unsubscribe',
  13: 'ping',
};

/** What is to be sent again on the next connection, if it is not acknowledged before. */
interface Unacknowledged {
  readonly packetId: number;
  readonly message: Publishing;
  readonly version: wire.Version;
  readonly publication: Publication;
  /** PUBREC has come: PUBREL is what is sent. */
  isReceived: boolean;
}

/** A connection under way. */
interface Live {
  readonly record: ConnectionRecord;
  readonly socket: Socket;
  readonly will: Publishing | null;
  readonly willName: string;
  /** Acks that are held back; null: they are sent at once. */
  held: Buffer[] | null;
  unfinished: Buffer;
  /** Requests not acknowledged. */
  readonly outstanding: Request[];
}

/** A connection of it has been accepted. */
function isKnown({ connections }: SessionRecord): boolean {
  return connections.some(({ accepted }) => accepted !== NEVER);
}

export class ModelClient {
  readonly slot: number;
  readonly #recorder: Recorder;
  readonly #endpoint: Endpoint;
  /** Sends again what was not acknowledged. */
  readonly #resends: boolean;
  #unacknowledged: Unacknowledged[] = [];
  /** How it last connected, and that it is to do so again when the broker is back. */
  #lastStep: Omit<ConnectStep, 'do' | 'slot'> | null = null;
  #hasLostBroker = false;
  #live: Live | null = null;
  #packetIds = 0;
  #places = 0;
  /** Wills that come, or may come, before the next CONNACK. */
  #willsOnTheirWay: { readonly will: Publication; mustCome: boolean }[] = [];
  /** Has said DISCONNECT, and the server has not closed yet. */
  #leaving: Live | null = null;
  #wasClean = true;
  #session: SessionRecord | null = null;

  constructor(slot: number, recorder: Recorder, endpoint: Endpoint, resends: boolean) {
    this.slot = slot;
    this.#recorder = recorder;
    this.#endpoint = endpoint;
    this.#resends = resends;
  }

  get connection(): ConnectionRecord | null {
    return this.#live?.record ?? null;
  }

  get hasConnected(): boolean {
    return this.#session !== null;
  }

  get wasClean(): boolean {
    return this.#wasClean;
  }

  /** Has a connection whose CONNACK has not come. */
  get isConnecting(): boolean {
    return this.#live !== null && this.#live.record.accepted === NEVER;
  }

  get isConnected(): boolean {
    return this.#live !== null;
  }

  /** Neither has a connection nor waits for the end of one that it leaves. */
  get isAway(): boolean {
    return this.#live === null && this.#leaving === null;
  }

  /** Requests that are not acknowledged. */
  get outstanding(): readonly Request[] {
    return this.#live?.outstanding ?? [];
  }

  /** Opens a connection and writes CONNECT; an open one is taken over. */
  connect(step: Omit<ConnectStep, 'do' | 'slot'>): void {
    const { id, clean, will, holdsAcks, version } = step;
    this.#lastStep = step;
    const recorder = this.#recorder;
    const socket = connectSocket({ host: this.#endpoint.host, port: this.#endpoint.port });
    socket.setNoDelay(true);
    const name = `w${id}`;
    const said = will && { message: will, topic: recorder.topicOf(will.topic), name };
    socket.write(wire.connect(version, recorder.clientId(this.slot), clean, said));
    const begin = recorder.note(`c${this.slot} CONNECT ${clean ? 'clean' : 'not clean'}`);
    const old = this.#live;
    if (old !== null) this.#end(old, begin, 'takeover');
    // Taken over before its DISCONNECT is read, it has its will published.
    if (this.#leaving !== null) this.#willComes(this.#leaving, begin, false);
    this.#leaving = null;
    const expectsSession = !clean && this.#session !== null && !this.#wasClean;
    const session = expectsSession ? this.#session! : recorder.session(this.slot, clean);
    if (this.#session !== null && session !== this.#session) {
      this.#session.endBegin = begin;
    }
    const before = this.#session;
    this.#session = session;
    this.#wasClean = clean;
    const record = recorder.connection(this.slot, session, begin, expectsSession, version);
    const live: Live = {
      record,
      socket,
      will,
      willName: name,
      held: holdsAcks ? [] : null,
      unfinished: Buffer.alloc(0),
      outstanding: [],
    };
    this.#live = live;
    this.#request(live, 'connect', 0, begin);
    socket.on('data', (chunk) => this.#onData(live, chunk, before));
    socket.on('error', () => {});
    socket.on('close', () => this.#onClose(live));
    this.#resendAll(live);
  }

  /** Connects as before, without a will, if the end of the broker has ended its connection. */
  reconnect(): void {
    if (this.#hasLostBroker) this.connect({ ...this.#lastStep!, will: null });
    this.#hasLostBroker = false;
  }

  /** [MQTT-4.4.0-1]: in their order, and before anything new. */
  #resendAll(live: Live): void {
    const { record, socket } = live;
    const { version, session, expectsSession } = record;
    const isKept = expectsSession && isKnown(session);
    this.#unacknowledged = this.#unacknowledged.filter(
      (each) => isKept && each.version === version,
    );
    for (const { packetId, message, publication, isReceived } of this.#unacknowledged) {
      const { topic, name } = publication;
      const what = isReceived ? 'PUBREL' : `PUBLISH ${topic} "${name}" DUP`;
      const begin = this.#recorder.note(`c${this.slot} again ${what}, id ${packetId}`);
      const request = this.#request(live, isReceived ? 'pubrel' : 'publish', packetId, begin);
      if (isReceived) {
        socket.write(packets.pubrel(packetId));
        continue;
      }
      const full = this.#recorder.topicOf(topic);
      socket.write(wire.publish(version, message, full, name, packetId, true));
      this.#recorder.resent(publication, request, this.#places++);
    }
  }

  #onAcknowledged(live: Live, type: number, packetId: number): void {
    // What is acknowledged on a connection that was taken over, is asked for on the next again.
    if (live !== this.#live) return;
    const at = this.#unacknowledged.findIndex((each) => each.packetId === packetId);
    if (at < 0) return;
    if (type === 5) this.#unacknowledged[at].isReceived = true;
    else if (type === 4 || type === 7) this.#unacknowledged.splice(at, 1);
  }

  /** Breaks the connection off: what the kernel holds may be lost. */
  cut(): void {
    const live = this.#live;
    if (live === null) return;
    this.#end(live, this.#recorder.note(`c${this.slot} cuts`), 'client');
    live.socket.destroy();
  }

  disconnect(): void {
    const live = this.#live;
    if (live === null) return;
    const at = this.#recorder.note(`c${this.slot} DISCONNECT`);
    live.socket.end(packets.DISCONNECT);
    live.record.ended = at;
    live.record.endedBy = 'client';
    this.#live = null;
    this.#leaving = live;
  }

  publish(id: number, messages: readonly Publishing[]): void {
    const live = this.#live;
    if (live === null) return;
    const recorder = this.#recorder;
    const frames: Buffer[] = [];
    const { version } = live.record;
    messages.forEach((message, at) => {
      const name = messageName(id, at);
      const packetId = message.qos === 0 ? 0 : this.#nextPacketId();
      const topic = recorder.topicOf(message.topic);
      frames.push(wire.publish(version, message, topic, name, packetId));
      const begin = recorder.note(`c${this.slot} PUBLISH ${message.topic} "${name}"`);
      const kind = message.qos === 0 ? 'publish0' : 'publish';
      const request = this.#request(live, kind, packetId, begin);
      const publication = recorder.publication(message, name, {
        kind: 'client',
        slot: this.slot,
        place: this.#places++,
        connection: live.record,
        isOf5: version === 5,
        wallBegin: performance.now(),
        begin,
        request,
      });
      if (!this.#resends || message.qos === 0) return;
      const asked = { packetId, message, version, publication, isReceived: false };
      this.#unacknowledged.push(asked);
    });
    live.socket.write(Buffer.concat(frames));
  }

  subscribe(filters: readonly SubscribedFilter[], isPrefixed = true): void {
    const live = this.#live;
    if (live === null) return;
    const { version, session } = live.record;
    const packetId = this.#nextPacketId();
    const topicOf = (filter: string) => (isPrefixed ? this.#recorder.topicOf(filter) : filter);
    const wanted = filters.map((each) => ({ ...each, filter: topicOf(each.filter) }));
    const identifier = version === 5 ? packetId : 0;
    live.socket.write(wire.subscribe(version, packetId, wanted, identifier));
    const text = filters.map(textOfFilter).join(', ');
    const begin = this.#recorder.note(`c${this.slot} SUBSCRIBE ${text} id ${identifier}`);
    const request = this.#request(live, 'subscribe', packetId, begin);
    session.granted.set(
      request,
      filters.map(({ qos }) => qos),
    );
    if (!isPrefixed) return;
    const plain = version === 5 ? {} : ({ noLocal: false, retainHandling: 0 } as const);
    for (const each of filters) this.#change(live, { ...each, ...plain, identifier, request });
  }

  unsubscribe(filters: readonly string[]): void {
    const live = this.#live;
    if (live === null) return;
    const packetId = this.#nextPacketId();
    const topics = filters.map((filter) => this.#recorder.topicOf(filter));
    live.socket.write(wire.unsubscribe(live.record.version, packetId, topics));
    const begin = this.#recorder.note(`c${this.slot} UNSUBSCRIBE ${filters.join(', ')}`);
    const request = this.#request(live, 'unsubscribe', packetId, begin);
    const none = { qos: null, noLocal: false, retainHandling: 0, identifier: 0 } as const;
    for (const filter of filters) this.#change(live, { filter, ...none, request });
  }

  ping(): void {
    const live = this.#live;
    if (live === null) return;
    live.socket.write(packets.PINGREQ);
    this.#request(live, 'ping', 0, this.#recorder.note(`c${this.slot} PINGREQ`));
  }

  /** Publishes outside of the topics that are watched: see sentinels. */
  publishSentinel(topic: string, payload: string): void {
    const live = this.#live;
    if (live === null) return;
    const message = { topic, qos: 0, retain: false, isEmpty: false, padding: 0 } as const;
    live.socket.write(wire.publish(live.record.version, message, topic, payload, 0));
  }

  /** Sends the acks that are held back. */
  releaseAcks(): void {
    const live = this.#live;
    if (live === null || live.held === null) return;
    const { held } = live;
    live.held = null;
    if (held.length > 0) live.socket.write(Buffer.concat(held));
  }

  #nextPacketId(): number {
    return ++this.#packetIds;
  }

  #change(live: Live, change: SubscriptionChange): void {
    const { changes } = live.record.session;
    const list = changes.get(change.filter);
    if (list === undefined) changes.set(change.filter, [change]);
    else list.push(change);
  }

  #request(live: Live, kind: Request['kind'], packetId: number, begin: number): Request {
    const request: Request = { kind, connection: live.record, packetId, begin, acked: NEVER };
    live.record.requests.push(request);
    if (kind !== 'publish0') live.outstanding.push(request);
    return request;
  }

  /** The connection is over for the client: its will, if it has one, is on its way. */
  #end(live: Live, at: number, by: NonNullable<ConnectionRecord['endedBy']>): void {
    const { record } = live;
    if (record.ended !== NEVER) return;
    record.ended = at;
    record.endedBy = by;
    if (this.#live === live) this.#live = null;
    // Who ends while a shard dies may have been on it: nobody is left to publish the will.
    const isAnyDying = by === 'restart' || this.#recorder.deaths.some(({ end }) => end === NEVER);
    this.#willComes(live, at, record.accepted !== NEVER && !isAnyDying);
  }

  #willComes({ record, will, willName }: Live, begin: number, mustCome: boolean): void {
    if (will === null) return;
    const published = this.#recorder.publication(will, willName, {
      kind: 'will',
      slot: this.slot,
      place: this.#places++,
      connection: record,
      isOf5: record.version === 5,
      wallBegin: performance.now(),
      begin,
      request: null,
    });
    this.#willsOnTheirWay.push({ will: published, mustCome });
  }

  #onClose(live: Live): void {
    const { record } = live;
    const { isRestarting } = this.#recorder;
    if (record.ended === NEVER) {
      const at = this.#recorder.note(`c${this.slot} was closed by the server`);
      this.#end(live, at, isRestarting ? 'restart' : 'server');
      this.#hasLostBroker = isRestarting;
    }
    live.outstanding.length = 0;
    if (this.#leaving === live) {
      // Ended before its DISCONNECT was read, the broker may publish its will.
      if (isRestarting) this.#willComes(live, this.#recorder.note(`c${this.slot} has left`), false);
      this.#leaving = null;
    }
    // The wills of connections that ended before may have gone with the broker.
    if (isRestarting) for (const each of this.#willsOnTheirWay) each.mustCome = false;
    this.#recorder.changed();
  }

  #onData(live: Live, chunk: Buffer, sessionBefore: SessionRecord | null): void {
    // Of a connection that it has cut a client reads nothing.
    if (live.socket.destroyed) return;
    let rest = live.unfinished.length > 0 ? Buffer.concat([live.unfinished, chunk]) : chunk;
    for (let end = packets.packetEnd(rest); end !== undefined; end = packets.packetEnd(rest)) {
      this.#onPacket(live, rest.subarray(0, end), sessionBefore);
      rest = rest.subarray(end);
    }
    live.unfinished = rest;
    this.#recorder.changed();
  }

  #onPacket(live: Live, packet: Buffer, sessionBefore: SessionRecord | null): void {
    const type = packet[0] >> 4;
    const { version } = live.record;
    if (type === 3) {
      this.#onPublish(live, wire.parsePublish(version, packet));
      return;
    }
    // The close that follows says all there is to say.
    if (type === 14) return;
    const packetId = type === 2 || type === 13 ? 0 : packet.readUInt16BE(2);
    if (type === 6) {
      live.record.session.held.delete(packetId);
      this.#acknowledge(live, packets.pubcomp(packetId));
      return;
    }
    const at = this.#recorder.note(`c${this.slot} <- ${ACK_KINDS[type]} ack ${packetId || ''}`);
    const { outstanding, record } = live;
    const index = outstanding.findIndex(
      (request) => request.kind === ACK_KINDS[type] && request.packetId === packetId,
    );
    if (index === -1) {
      this.#recorder.fault('everyAckIsForARequest', `c${this.slot} type ${type}, id ${packetId}`);
      return;
    }
    const [request] = outstanding.splice(index, 1);
    request.acked = at;
    this.#onAcknowledged(live, type, packetId);
    for (const before of outstanding.slice(0, index)) {
      // A broker that is ending takes nothing new, but goes on with what it has begun.
      const isEnding = this.#recorder.isRestarting && request.kind === 'pubrel';
      if (isEnding && before.kind !== 'pubrel') continue;
      record.overtaken.push({ ack: request, before });
    }
    if (type === 2) this.#onConnack(live, packet, sessionBefore, at);
    if (type === 9) this.#recorder.onSuback(record, request, wire.subackCodes(version, packet));
    // On a connection that it has given up it goes on with nothing that it sends again.
    if (type === 5 && (live === this.#live || !this.#resends)) {
      this.#write(live, packets.pubrel(packetId));
      this.#request(live, 'pubrel', packetId, at);
    }
  }

  #onConnack(live: Live, packet: Buffer, before: SessionRecord | null, at: number): void {
    const { record } = live;
    if (packet[3] !== 0 && this.#recorder.isRestarting) {
      // The broker is ending: it tells nothing of what came before.
      record.requests[0].acked = NEVER;
      return;
    }
    if (packet[3] !== 0) {
      this.#recorder.fault('connectionsAreAccepted', `c${this.slot} refused: ${packet[3]}`);
      return;
    }
    record.sessionPresent = packet[2] === 1;
    // Of the CONNECT that began it nobody knows whether it was taken.
    if (record.expectsSession && !isKnown(record.session)) {
      record.expectsSession = record.sessionPresent;
    }
    record.accepted = at;
    if (before !== null && before !== record.session) before.endEnd = at;
    for (const { will, mustCome } of this.#willsOnTheirWay) {
      will.end = Math.min(will.end, at);
      if (mustCome) will.isCertain = true;
    }
    this.#willsOnTheirWay = [];
    if (record.expectsSession && !record.sessionPresent && this.#recorder.deaths.length > 0) {
      this.#recorder.loseSession(record);
      this.#session = record.session;
      record.expectsSession = false;
    }
  }

  #onPublish(live: Live, message: wire.Received): void {
    const { record } = live;
    const { packetId, dup, retain, properties } = message;
    const qos = message.qos as packets.QoS;
    const payload = message.payload.trimEnd();
    const { held } = record.session;
    const isHeld = qos === 2 && held.get(packetId) === `${message.topic} ${payload}`;
    if (qos === 2) {
      if (!isHeld && held.has(packetId)) {
        this.#recorder.fault(
          'packetIdsAreFree',
          `c${this.slot}: id ${packetId} is not released, and comes with "${payload}"`,
        );
      }
      held.set(packetId, `${message.topic} ${payload}`);
    }
    const from = { session: record.session, connection: record };
    this.#recorder.delivery({
      ...from,
      topic: message.topic,
      payload,
      qos,
      retain,
      dup,
      packetId,
      properties,
      isHeld,
    });
    if (qos === 1) this.#acknowledge(live, packets.puback(packetId));
    if (qos === 2) this.#acknowledge(live, packets.pubrec(packetId));
  }

  #acknowledge(live: Live, ack: Buffer): void {
    if (live.held !== null) live.held.push(ack);
    else this.#write(live, ack);
  }

  #write(live: Live, bytes: Buffer): void {
    if (live.socket.writable) live.socket.write(bytes);
  }
}
