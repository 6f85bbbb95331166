/** One connection whose socket only notes what is asked of it, and whose clock a test moves. */
import assert from 'node:assert/strict';
import { RefusedAddresses } from '../../../src/access/refused-addresses.js';
import { loadConfig } from '../../../src/base/config.js';
import { Counters } from '../../../src/base/counters.js';
import { type Deadline, Deadlines } from '../../../src/base/deadlines.js';
import type { CloseReason } from '../../../src/base/errors.js';
import {
  READ_BUFFER_BYTES,
  READ_HEADROOM_BYTES,
  SCRATCH_BYTES,
  SWEEP_MS,
} from '../../../src/base/limits.js';
import { RateDebts } from '../../../src/base/rate-debts.js';
import { ClientProfile } from '../../../src/connection/client-profile.js';
import type { ConnectRequest } from '../../../src/connection/connect-request.js';
import { Connection } from '../../../src/connection/connection.js';
import type { ConnectionHost } from '../../../src/connection/host.js';
import { OutboxTotal } from '../../../src/connection/outbox-total.js';
import { TurnShare } from '../../../src/connection/turn-share.js';
import { UnfinishedPackets } from '../../../src/connection/unfinished-packets.js';
import { FrameScan } from '../../../src/protocol/frame-scan.js';
import type { ProtocolVersion } from '../../../src/protocol/packet.js';
import { FrameScan5, Sender } from '../../../src/protocol/v5/index.js';
import { TurnArena } from '../../../src/router/turn-arena.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { Session } from '../../../src/sessions/session.js';
import type { Transport } from '../../../src/transport/transport.js';
import { connect } from '../../support/packets.js';

const LIMITS = { maxInflight: 1, maxQueuedMessages: 1, maxQueuedBytes: 1_024 };
/** The longest packet that a test sends has 1 MiB of payload. */
export const { config } = loadConfig({ workers: 1, maxPacketBytes: '2MiB' }, {}, {});

class NotingTransport {
  readonly peer = { address: '127.0.0.1', port: 1, listener: '', certificate: null };
  readonly isPolledOnly = false;
  isDestroyed = false;
  hasLeft = false;
  isPaused = false;
  written = Buffer.alloc(0);
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  writeNow(): number {
    return 0;
  }
  write(bytes: Buffer, done: () => void): void {
    this.written = Buffer.concat([this.written, bytes]);
    done();
  }
  readNow(): number {
    return 0;
  }
  probeAfter(): void {}
  end(): void {}
  destroy(): void {
    this.isDestroyed = true;
  }
}

function ignore(): void {}

/** A session that ends with its connection. */
export function makeSession(protocolVersion: ProtocolVersion): Session {
  return new Session('c', 0, protocolVersion, 1, LIMITS, new AbsentQueues());
}

/** See above. */
export class LoneConnection {
  /** Coarse time, as a shard has it. */
  now = 1_000;
  closedFor: CloseReason | null = null;
  mayWait = true;
  claimed: ConnectRequest | null = null;
  readonly socket = new NotingTransport();
  readonly counters = new Counters();
  readonly deadlines: Deadlines<Deadline>;
  readonly connection: Connection;
  readonly #readBuffer = Buffer.alloc(READ_HEADROOM_BYTES + READ_BUFFER_BYTES);

  /** @param own what the host has in place of what it has here. */
  constructor(own: Partial<ConnectionHost> = {}) {
    const lone = this;
    const onDue = (due: Deadline): void => (due as Connection).onDeadline();
    this.deadlines = new Deadlines<Deadline>(this.now, onDue);
    const scan = new FrameScan(config.maxPacketBytes);
    const host: ConnectionHost = {
      share: new TurnShare(1, () => 0),
      unfinished: new UnfinishedPackets(Number.POSITIVE_INFINITY),
      config,
      counters: this.counters,
      clientLog: { limits: { note: (counter: number) => this.counters.add(counter, 1) } },
      deadlines: this.deadlines,
      scan,
      scan5: new FrameScan5(config.maxPacketBytes, Sender.client, scan.packetIds),
      arena: new TurnArena(() => {}),
      scratch: Buffer.alloc(SCRATCH_BYTES),
      outboxTotal: new OutboxTotal(),
      shedsQos0: false,
      readBuffer: this.#readBuffer,
      isStopping: false,
      isShortOfMemory: false,
      isDebugLogged: false,
      isRingFull: false,
      durable: null,
      turn: { mayCatchUp: true, catchUp: () => true, onRead: () => false },
      wills: { cancel() {} },
      authenticator: { authenticate: () => true },
      refusedAddresses: new RefusedAddresses(),
      rateDebts: new RateDebts(RateDebts.createMemory()),
      access: { admit() {} },
      get mayWaitForAuthenticator() {
        return lone.mayWait;
      },
      now: 1,
      stamp: 1,
      routes: { findKey: () => ({ isPublishable: true }) },
      router: { publishRun() {}, route() {} },
      profileOf: () => new ClientProfile('', null, host.config, true),
      claim(_: Connection, request: ConnectRequest) {
        lone.claimed = request;
      },
      onClosed(_: Connection, __: Session, reason: CloseReason) {
        lone.closedFor = reason;
      },
      ...own,
    } as unknown as ConnectionHost;
    // What else a connection tells its host is of no interest here.
    const quiet = new Proxy(host, {
      get: (target, name) => (name in target ? Reflect.get(target, name) : ignore),
    });
    this.connection = new Connection(quiet, 1, this.socket as unknown as Transport);
  }

  /** The socket is read: `bytes` come in one read. @returns whether it is to be read on. */
  read(bytes: Buffer): boolean {
    bytes.copy(this.#readBuffer, READ_HEADROOM_BYTES);
    return this.connection.onRead(bytes.length);
  }

  /** CONNECT has come, and its client id is granted. */
  open(keepAlive = 0): void {
    this.read(connect({ clientId: 'c', keepAlive }));
    this.attach();
  }

  /** The client id is granted. @param session that the client had; default: it begins anew. */
  attach(session?: Session): void {
    assert.ok(this.claimed);
    const { protocolVersion } = this.claimed;
    this.connection.attach(
      session ?? makeSession(protocolVersion),
      this.claimed,
      session !== undefined,
    );
  }

  /** Time passes in ticks, as in a shard. Ends early when the connection is closed. */
  pass(ms: number): void {
    const isClosed = this.connection.isClosed;
    for (const end = this.now + ms; this.now < end && this.connection.isClosed === isClosed; ) {
      this.now = Math.min(end, this.now + SWEEP_MS);
      this.deadlines.advance(this.now);
    }
  }

  /** Passes time until the connection is closed. @returns the milliseconds that took. */
  untilClosed(msMax: number): number {
    const from = this.now;
    this.pass(msMax);
    assert.notEqual(this.closedFor, null, `open after ${msMax} ms`);
    return this.now - from;
  }
}
