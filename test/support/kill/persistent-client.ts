/**
 * A client whose session outlives its connections: it comes back by itself, and holds the server to
 * what a CONNACK says of the session.
 */
import type { IConnackPacket, Packet } from 'mqtt-packet';
import type { Random } from '../../fuzz/random.js';
import type { Faults } from './faults.js';
import { Link, type LinkOwner } from './link.js';
import type { Version } from './topics.js';

/** A session that stays for ever [MQTT 5.0, 3.1.2.11.2]. */
const NEVER = 0xffff_ffff;
/** Between two attempts to connect, in milliseconds, and a random part. */
const AGAIN_MS = 5;
const AGAIN_MORE_MS = 25;
/** A broker that takes a connection and does not answer CONNECT for so long is stuck. */
const CONNACK_MS = 15_000;
/** Return codes that ask to come again: server unavailable, busy, and 3.1.1's unavailable. */
const COME_AGAIN: ReadonlySet<number> = new Set([3, 0x88, 0x89]);

/** Where clients connect, and what they share. */
export interface Surroundings {
  readonly port: number;
  readonly random: Random;
  readonly faults: Faults;
  /** A client was sent what it must not be sent, behind these last packets of its. */
  onFault(clientId: string, trace: readonly string[]): void;
  /** Something was received: what is waited for may be complete. */
  onProgress(): void;
}

/** Packets of a client that are remembered. */
const TRACE_MAX = 400;

/** A packet in a few words. */
function wordsOf(packet: Packet): string {
  const { cmd, messageId = '' } = packet;
  if (cmd === 'connack') return `connack, session present ${packet.sessionPresent}`;
  if (cmd !== 'publish') return `${cmd} ${messageId}`;
  const { topic, payload, qos, dup } = packet;
  return `${cmd} ${messageId} ${topic} ${String(payload).slice(0, 8)} ${qos}${dup ? ' DUP' : ''}`;
}

export abstract class PersistentClient implements LinkOwner {
  readonly clientId: string;
  readonly version: Version;
  protected readonly around: Surroundings;
  /** The session must be there: something that is kept in it was acknowledged. */
  protected mustBePresent = false;
  /** Of the connection that counts; null while there is none. */
  protected link: Link | null = null;
  #isAccepted = false;
  /** What it has sent and received last. */
  readonly #trace: string[] = [];
  #wantsOnline = false;
  #isOver = false;
  #again: NodeJS.Timeout | null = null;
  #watch: NodeJS.Timeout | null = null;
  /** Taken over, and not closed by the server yet. */
  readonly #former = new Set<Link>();

  constructor(clientId: string, version: Version, around: Surroundings) {
    this.clientId = clientId;
    this.version = version;
    this.around = around;
  }

  /** CONNACK has come, and the connection stands. */
  get isOnline(): boolean {
    return this.#isAccepted && this.link !== null;
  }

  /** The connection begins: what was under way is to be taken up. */
  protected abstract onSession(isPresent: boolean, receiveMaximum: number): void;
  protected abstract onOwnPacket(packet: Packet): void;
  /** The connection has ended: nothing more goes out on it. */
  protected onOffline(): void {}

  /** Connects, now and whenever the connection has ended. */
  goOnline(): void {
    this.#wantsOnline = !this.#isOver;
    if (this.#isOver) return;
    if (this.link === null && this.#again === null) this.#connect();
  }

  /** Ends the connection, in order or not, and stays away. */
  goOffline(isInOrder: boolean): void {
    this.#wantsOnline = false;
    this.#stopWaiting();
    const { link } = this;
    if (link === null) return;
    this.#forgetLink();
    if (!isInOrder) {
      link.cut();
      return;
    }
    const last: Packet =
      this.version === 5 ? { cmd: 'disconnect', reasonCode: 0 } : { cmd: 'disconnect' };
    link.send(last);
    link.end();
  }

  /** Connects again while the connection stands: the server has to close the former one. */
  takeOver(): void {
    const { link } = this;
    if (link === null || !this.#isAccepted) return;
    this.#forgetLink();
    link.resume();
    this.#former.add(link);
    this.#connect();
  }

  /** Ends everything, for good. */
  close(): void {
    this.goOffline(false);
    this.#isOver = true;
    for (const former of this.#former) former.cut();
  }

  protected send(...packets: Packet[]): void {
    for (const packet of packets) this.#note(`> ${wordsOf(packet)}`);
    this.link?.send(...packets);
  }

  protected protocolFault(words: string): void {
    this.around.faults.add('protocol', `${this.clientId}: ${words}`);
    this.#note(`fault: ${words}`);
    this.showTrace();
  }

  /** Has what it has sent and received last be kept. */
  protected showTrace(): void {
    this.around.onFault(this.clientId, this.#trace);
  }

  #note(words: string): void {
    this.#trace.push(`${new Date().toISOString().slice(14)} ${words}`);
    if (this.#trace.length > TRACE_MAX) this.#trace.shift();
  }

  #connect(): void {
    this.link = new Link(this.around.port, this.version, this);
  }

  #stopWaiting(): void {
    if (this.#again !== null) clearTimeout(this.#again);
    if (this.#watch !== null) clearTimeout(this.#watch);
    this.#again = null;
    this.#watch = null;
  }

  #forgetLink(): void {
    this.#note(`leaves ${this.link?.localPort}`);
    this.link = null;
    this.#isAccepted = false;
    if (this.#watch !== null) clearTimeout(this.#watch);
    this.#watch = null;
    this.onOffline();
  }

  onOpen(link: Link): void {
    this.#note(`reaches the server from ${link.localPort}`);
    if (link !== this.link) {
      link.cut();
      return;
    }
    const common = { cmd: 'connect', clientId: this.clientId, clean: false, keepalive: 0 } as const;
    if (this.version === 5) {
      const properties = { sessionExpiryInterval: NEVER };
      link.send({ ...common, protocolId: 'MQTT', protocolVersion: 5, properties });
    } else {
      link.send({ ...common, protocolId: 'MQTT', protocolVersion: 4 });
    }
    this.#watch = setTimeout(() => {
      this.around.faults.add('broker', `${this.clientId}: no CONNACK within ${CONNACK_MS} ms`);
      link.cut();
    }, CONNACK_MS);
  }

  onPacket(link: Link, packet: Packet): void {
    if (link !== this.link) return;
    this.#note(`< ${wordsOf(packet)}`);
    if (packet.cmd === 'connack') this.#onConnack(link, packet);
    else if (packet.cmd === 'disconnect') this.#onDisconnect(packet.reasonCode ?? 0);
    else if (this.#isAccepted) this.onOwnPacket(packet);
    else this.protocolFault(`${packet.cmd} before CONNACK`);
  }

  #onConnack(link: Link, packet: IConnackPacket): void {
    if (this.#watch !== null) clearTimeout(this.#watch);
    this.#watch = null;
    const code = packet.returnCode ?? packet.reasonCode ?? 0;
    if (this.#isAccepted) {
      this.protocolFault('a second CONNACK');
      return;
    }
    if (code !== 0) {
      if (!COME_AGAIN.has(code)) this.protocolFault(`refused with code ${code}`);
      link.cut();
      return;
    }
    this.#isAccepted = true;
    if (!packet.sessionPresent && this.mustBePresent) {
      this.around.faults.add('forgotten', `${this.clientId}: its session is not there`);
      this.mustBePresent = false;
    }
    this.onSession(packet.sessionPresent, packet.properties?.receiveMaximum ?? 65_535);
  }

  /** Why the server ends the connection [MQTT 5.0, 3.14]. */
  #onDisconnect(code: number): void {
    // 0x8b: it shuts down; 0x8e: taken over, by a connection that ended before its CONNACK.
    if (code === 0x8b || code === 0x8e || COME_AGAIN.has(code)) return;
    this.protocolFault(`DISCONNECT with code ${code}`);
  }

  onMalformed(link: Link, error: Error): void {
    if (link === this.link) this.protocolFault(`no MQTT: ${error.message}`);
  }

  onClosed(link: Link): void {
    this.#former.delete(link);
    if (link !== this.link) return;
    this.#forgetLink();
    if (!this.#wantsOnline) return;
    this.#again = setTimeout(() => {
      this.#again = null;
      if (this.#wantsOnline && this.link === null) this.#connect();
    }, AGAIN_MS + this.around.random.below(AGAIN_MORE_MS));
  }
}
