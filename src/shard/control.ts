/**
 * What the primary and a shard say to each other over the shard's MessagePort, and the task data a
 * shard starts with. This file is the only place that knows these messages; it holds types and no
 * logic.
 */
import type { Socket } from 'node:net';
import type { MessagePort } from 'node:worker_threads';
import type { Config } from '../base/config.js';
import type { CertificateNames, Verdict } from '../base/credentials.js';
import type { ListenerConfig } from '../base/listener-config.js';
import type { Materials } from '../base/materials.js';
import type { ShardStoreStart } from '../store/store-messages.js';

/** Task data of one shard, given to `workers/shard.ts` through Piscina. */
export interface ShardStart {
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly config: Config;
  /** Contents of the files that the configuration names. */
  readonly materials: Materials;
  /** This shard's end of its channel to the primary. */
  readonly port: MessagePort;
  /** Ring i is written by shard i and read by all others. */
  readonly rings: readonly SharedArrayBuffer[];
  /** The word that all rings take their tickets from (router/ring-layout.ts). */
  readonly tickets: SharedArrayBuffer;
  /** Who has just woken (router/wakes.ts). */
  readonly wakes: SharedArrayBuffer;
  /** Connections by address (transport/address-table.ts). */
  readonly addresses: SharedArrayBuffer;
  /** Connections by listener (transport/listener-counts.ts). */
  readonly listenerCounts: SharedArrayBuffer;
  /** What clients owe that have sent too much (base/rate-debts.ts). */
  readonly rateDebts: SharedArrayBuffer;
  /** How much of the process's memory is used (base/memory-level.ts): the primary writes it. */
  readonly memoryLevel: SharedArrayBuffer;
  /** The pipe that wakes this shard: it owns the read end. */
  readonly doorbellReadFd: number;
  /** Write ends by shard; the primary owns them. */
  readonly doorbellWriteFds: readonly number[];
  /** This shard's counters (base/counters.ts): it writes, the primary reads. */
  readonly counters: SharedArrayBuffer;
  /** Where it keeps its sessions and retained messages; null: in its memory alone. */
  readonly store: ShardStoreStart | null;
  /**
   * Client ids whose sessions it is to find there, as it replaces a shard that died; null: those
   * that were on shards of its index, whatever the number of shards was.
   */
  readonly orphans: readonly string[] | null;
  /** True for a shard that replaces one that died: its peers announce their filters to it again. */
  readonly isReplacement: boolean;
}

/** A publication by the program that embeds the server. */
export interface InjectedMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
}

/** Primary to shard. They are posted in arrays: what one turn of the primary's event loop says. */
export type ToShard =
  /** All listeners there are, before connections come that came by them. */
  | { readonly kind: 'listeners'; readonly listeners: readonly ListenerConfig[] }
  /** What TLS session tickets are made with from here on. */
  | { readonly kind: 'ticket-keys'; readonly keys: Uint8Array }
  /**
   * A socket by its duplicated descriptor: the shard is its one owner from here on. It counts the
   * socket as `connectionsOpened` when it takes it: the primary learns from this what is still on
   * its way. `place` is where it is counted by its address (transport/address-limits.ts), `slot`
   * where by its listener (transport/listener-counts.ts).
   */
  | {
      readonly kind: 'descriptor';
      readonly fd: number;
      readonly listener: string;
      readonly place: number;
      readonly slot: number;
    }
  /** A socket moved by the runtime itself (Node 26 and newer). */
  | {
      readonly kind: 'socket';
      readonly socket: Socket;
      readonly listener: string;
      readonly place: number;
      readonly slot: number;
    }
  /**
   * Answer to a claim: the client id is this shard's now. `from` is the shard that still holds a
   * session of it, -1 if none.
   */
  | { readonly kind: 'granted'; readonly claim: number; readonly from: number }
  /**
   * Shard `to` has claimed this client id: close its connection, and either discard the session or
   * hand it over through the ring. The holder's own `claim` number names what it must let go of.
   */
  | {
      readonly kind: 'release';
      readonly clientId: string;
      /** The holder's own claim, which ends with this: a later `dropped` of it has no effect. */
      readonly claim: number;
      readonly to: number;
      readonly newClaim: number;
      readonly discard: boolean;
    }
  /**
   * The claim is not taken. Answer return code 3, server unavailable, and close; the directory
   * knows nothing of the claim.
   */
  | { readonly kind: 'refused'; readonly claim: number; readonly reason: ClaimRefusal }
  /** A shard has died: forget its interest, read its ring no more, abandon hand-overs with it. */
  | { readonly kind: 'peer-dead'; readonly shardIndex: number }
  /**
   * Its successor: read its new ring, announce every local filter to it, and say `peer-welcomed`
   * when it has confirmed them or died.
   */
  | {
      readonly kind: 'peer-new';
      readonly shardIndex: number;
      readonly ring: SharedArrayBuffer;
      readonly doorbellWriteFd: number;
    }
  /** A shard is live, with all that it has found in the store: it may be sent what waited. */
  | { readonly kind: 'peer-loaded'; readonly shardIndex: number }
  /** Answers to `authenticate`, in no order. */
  | { readonly kind: 'authenticated'; readonly answers: readonly AuthenticationAnswer[] }
  | { readonly kind: 'publish'; readonly id: number; readonly message: InjectedMessage }
  /** Whether somebody listens to `event`; off until said. */
  | { readonly kind: 'watch-clients'; readonly enabled: boolean }
  /** Close the connection of this client, with its will. */
  | { readonly kind: 'kick'; readonly clientId: string }
  /**
   * Another configuration, with its materials: all is checked, and what needs a restart is as it
   * was. `reloaded` answers it.
   */
  | {
      readonly kind: 'reload';
      readonly id: number;
      readonly config: Config;
      readonly materials: Materials;
    }
  /**
   * First step of a stop: read no more from clients, put everything read on the rings, say
   * `quiesced`.
   */
  | { readonly kind: 'quiesce' }
  /**
   * Second step, when every shard has quiesced: drain the rings, flush the outboxes, close, end the
   * task. After `deadlineMs` milliseconds from here the thread is ended with whatever it still
   * holds.
   */
  | { readonly kind: 'stop'; readonly deadlineMs: number };

/** Shard to primary. */
export type ToPrimary =
  /** The shard reads its port, its doorbell and its rings. */
  | { readonly kind: 'ready' }
  /** Sessions that the shard has found in the store; before it is ready. None: it goes on. */
  | { readonly kind: 'loaded'; readonly sessions: readonly LoadedSession[] }
  /** Client ids wanted, batched per turn. */
  | { readonly kind: 'claims'; readonly claims: readonly Claim[] }
  /**
   * The claim is settled: the session (new or handed over) is in place here. A later claim on the
   * same id may be answered now. Every granted claim is settled or dropped, in the end, by the
   * shard it was granted to; not settled is one of a session that ends with its connection and was
   * granted from nobody, which is in place with its grant.
   */
  | { readonly kind: 'settled'; readonly claims: readonly number[] }
  /**
   * These claims' sessions are gone, or their connections went while they waited; the directory
   * forgets them if they are still the newest of their client id. A claim granted `from` another
   * shard is not dropped before the hand-over has come, or the session would be lost: settle it,
   * then drop it.
   */
  | { readonly kind: 'dropped'; readonly claims: readonly number[] }
  /** The connections of these claims are gone, their sessions stay: where users are counted. */
  | { readonly kind: 'left'; readonly claims: readonly number[] }
  /**
   * The answer to `peer-new`, once for each, in order. The former doorbell of that peer is not
   * written again.
   */
  | { readonly kind: 'peer-welcomed'; readonly shardIndex: number }
  /** The answer to `peer-dead`: what had come of that shard is on disk. */
  | { readonly kind: 'peer-dropped'; readonly shardIndex: number }
  /** The program is to decide about these CONNECTs; batched per turn. */
  | { readonly kind: 'authenticate'; readonly questions: readonly AuthenticationQuestion[] }
  | { readonly kind: 'published'; readonly id: number; readonly error?: string }
  /** The shard goes by that configuration; `fault` is why it does not, null that it does. */
  | { readonly kind: 'reloaded'; readonly id: number; readonly fault: string | null }
  | { readonly kind: 'quiesced' }
  | {
      readonly kind: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly fields: Readonly<Record<string, unknown>>;
      readonly message: string;
    }
  /** Clients that came and went, batched, only while the server has listeners for these events. */
  | {
      readonly kind: 'event';
      readonly name: 'connected' | 'disconnected';
      readonly clientId: string;
      readonly reason?: string;
    };

/** A session that a shard has found in the store: its client id, and a claim of the shard's own. */
export interface LoadedSession {
  readonly clientId: string;
  readonly claim: number;
}

/**
 * Why a claim is refused: CLAIMS_WAITING_MAX others wait for the same client id; or it is for a
 * session that is to be kept, and maxSessions are; or its user has maxConnectionsPerUser; or
 * there is no memory for a new session.
 */
export type ClaimRefusal = 'claims' | 'sessions' | 'user' | 'memory';

/** One CONNECT for the program to decide about. */
export interface AuthenticationQuestion {
  /** Unique in its shard. */
  readonly id: number;
  readonly clientId: string;
  readonly username: string | null;
  readonly password: Uint8Array | null;
  readonly remoteAddress: string;
  readonly listener: string;
  readonly certificate: CertificateNames | null;
}

/** What the program said, or why it has not. */
export type AuthenticationAnswer =
  | { readonly id: number; readonly verdict: Verdict }
  | { readonly id: number; readonly fault: string };

/** One CONNECT's wish for its client id. */
export interface Claim {
  /** Unique among all shards: shardIndex + SHARDS_MAX * a number that grows. */
  readonly claim: number;
  readonly clientId: string;
  /** Clean start: an older session is discarded instead of handed over [MQTT-3.1.2-6]. */
  readonly discard: boolean;
  /** The session is to outlive its connection. */
  readonly isKept: boolean;
  /** Whose connection it is, where those are counted; null: nobody's. */
  readonly user: string | null;
}
