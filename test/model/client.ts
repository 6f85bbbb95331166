/** One client of the model test: writes packets when told, and records what it sees and when. */
import { connect as connectSocket, type Socket } from 'node:net';
import * as packets from '../support/packets.js';
import type { Endpoint } from '../support/raw-client.js';
import { messageName, type Publishing, type Step } from './history.js';
import {
  type ConnectionRecord,
  NEVER,
  type Publication,
  type Request,
  type SessionRecord,
  type SubscriptionChange,
} from './record.js';
import type { Recorder } from './recorder.js';

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

export class ModelClient {
  readonly slot: number;
  readonly #recorder: Recorder;
  readonly #endpoint: Endpoint;
  #live: Live | null = null;
  #packetIds = 0;
  #places = 0;
  /** Wills that come, or may come, before the next CONNACK. */
  #willsOnTheirWay: { readonly will: Publication; readonly mustCome: boolean }[] = [];
  /** Has said DISCONNECT, and the server has not closed yet. */
  #leaving: Live | null = null;
  #wasClean = true;
  #session: SessionRecord | null = null;

  constructor(slot: number, recorder: Recorder, endpoint: Endpoint) {
    this.slot = slot;
    this.#recorder = recorder;
    this.#endpoint = endpoint;
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

  /** Requests that are not acknowledged. */
  get outstanding(): readonly Request[] {
    return this.#live?.outstanding ?? [];
  }

  /** Opens a connection and writes CONNECT; an open one is taken over. */
  connect(step: Pick<ConnectStep, 'id' | 'clean' | 'will' | 'holdsAcks'>): void {
    const { id, clean, will, holdsAcks } = step;
    const recorder = this.#recorder;
    const socket = connectSocket({ host: this.#endpoint.host, port: this.#endpoint.port });
    socket.setNoDelay(true);
    const fields = {
      clientId: recorder.clientId(this.slot),
      cleanSession: clean,
      ...(will === null
        ? {}
        : {
            will: {
              topic: recorder.topicOf(will.topic),
              payload: will.isEmpty ? '' : `w${id}`,
              qos: will.qos,
              retain: will.retain,
            },
          }),
    };
    socket.write(packets.connect(fields));
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
    const record = recorder.connection(this.slot, session, begin, expectsSession);
    const live: Live = {
      record,
      socket,
      will,
      willName: `w${id}`,
      held: holdsAcks ? [] : null,
      unfinished: Buffer.alloc(0),
      outstanding: [],
    };
    this.#live = live;
    this.#request(live, 'connect', 0, begin);
    socket.on('data', (chunk) => this.#onData(live, chunk, before));
    socket.on('error', () => {});
    socket.on('close', () => this.#onClose(live));
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
    messages.forEach((message, at) => {
      const name = messageName(id, at);
      const packetId = message.qos === 0 ? 0 : this.#nextPacketId();
      const payload = message.isEmpty ? '' : name.padEnd(name.length + message.padding);
      const topic = recorder.topicOf(message.topic);
      const { qos, retain } = message;
      frames.push(
        packets.publish({ topic, payload, qos, retain, ...(qos > 0 ? { packetId } : {}) }),
      );
      const begin = recorder.note(`c${this.slot} PUBLISH ${message.topic} "${name}"`);
      const request = this.#request(live, qos === 0 ? 'publish0' : 'publish', packetId, begin);
      recorder.publication(message, name, {
        kind: 'client',
        slot: this.slot,
        place: this.#places++,
        connection: live.record,
        begin,
        request,
      });
    });
    live.socket.write(Buffer.concat(frames));
  }

  subscribe(filters: readonly (readonly [string, packets.QoS])[], isPrefixed = true): void {
    const live = this.#live;
    if (live === null) return;
    const packetId = this.#nextPacketId();
    const topicOf = (filter: string) => (isPrefixed ? this.#recorder.topicOf(filter) : filter);
    live.socket.write(
      packets.subscribe(
        packetId,
        ...filters
          .map(([filter, qos]) => [topicOf(filter), qos] as const)
          .map(([f, q]) => [f, q] as [string, number]),
      ),
    );
    const text = filters.map(([filter, qos]) => `${filter} QoS ${qos}`).join(', ');
    const begin = this.#recorder.note(`c${this.slot} SUBSCRIBE ${text}`);
    const request = this.#request(live, 'subscribe', packetId, begin);
    live.record.session.granted.set(
      request,
      filters.map(([, qos]) => qos),
    );
    if (!isPrefixed) return;
    for (const [filter, qos] of filters) this.#change(live, { filter, qos, request });
  }

  unsubscribe(filters: readonly string[]): void {
    const live = this.#live;
    if (live === null) return;
    const packetId = this.#nextPacketId();
    const topics = filters.map((filter) => this.#recorder.topicOf(filter));
    live.socket.write(packets.unsubscribe(packetId, ...topics));
    const begin = this.#recorder.note(`c${this.slot} UNSUBSCRIBE ${filters.join(', ')}`);
    const request = this.#request(live, 'unsubscribe', packetId, begin);
    for (const filter of filters) this.#change(live, { filter, qos: null, request });
  }

  ping(): void {
    const live = this.#live;
    if (live === null) return;
    live.socket.write(packets.PINGREQ);
    this.#request(live, 'ping', 0, this.#recorder.note(`c${this.slot} PINGREQ`));
  }

  /** Publishes outside of the topics that are watched: see sentinels. */
  publishSentinel(topic: string, payload: string): void {
    this.#live?.socket.write(packets.publish({ topic, payload, qos: 0 }));
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
  #end(live: Live, at: number, by: 'client' | 'takeover' | 'server'): void {
    const { record } = live;
    if (record.ended !== NEVER) return;
    record.ended = at;
    record.endedBy = by;
    if (this.#live === live) this.#live = null;
    // Who ends while a shard dies may have been on it: nobody is left to publish the will.
    const isAnyDying = this.#recorder.deaths.some(({ end }) => end === NEVER);
    this.#willComes(live, at, record.accepted !== NEVER && !isAnyDying);
  }

  #willComes({ record, will, willName }: Live, begin: number, mustCome: boolean): void {
    if (will === null) return;
    const published = this.#recorder.publication(will, willName, {
      kind: 'will',
      slot: this.slot,
      place: this.#places++,
      connection: record,
      begin,
      request: null,
    });
    this.#willsOnTheirWay.push({ will: published, mustCome });
  }

  #onClose(live: Live): void {
    const { record } = live;
    if (record.ended === NEVER) {
      this.#end(live, this.#recorder.note(`c${this.slot} was closed by the server`), 'server');
    }
    live.outstanding.length = 0;
    if (this.#leaving === live) this.#leaving = null;
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
    if (type === 3) {
      this.#onPublish(live, packets.parsePublish(packet));
      return;
    }
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
    for (let each = 0; each < index; each++) {
      record.overtaken.push({ ack: request, before: outstanding[each] });
    }
    if (type === 2) this.#onConnack(live, packet, sessionBefore, at);
    if (type === 9) this.#recorder.onSuback(record, request, [...packet.subarray(4)]);
    if (type === 5) {
      this.#write(live, packets.pubrel(packetId));
      this.#request(live, 'pubrel', packetId, at);
    }
  }

  #onConnack(live: Live, packet: Buffer, before: SessionRecord | null, at: number): void {
    const { record } = live;
    if (packet[3] !== 0) {
      this.#recorder.fault('connectionsAreAccepted', `c${this.slot} refused: ${packet[3]}`);
      return;
    }
    record.accepted = at;
    record.sessionPresent = packet[2] === 1;
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

  #onPublish(live: Live, message: packets.Message): void {
    const { record } = live;
    const { packetId, dup, retain } = message;
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
