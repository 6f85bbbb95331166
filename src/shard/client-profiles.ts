/**
 * The profiles of a shard: one for all clients, and one for each listener and user for whom values
 * of their own are configured, made when the first such client comes.
 */
import { areAny, type ListenerOwnSettings, type UserOwnSettings } from '../base/client-settings.js';
import type { Config } from '../base/config.js';
import { SESSIONS_REVISED_AT_ONCE_MAX } from '../base/limits.js';
import type { ListenerConfig } from '../base/listener-config.js';
import { ClientProfile, giveProfile } from '../connection/client-profile.js';
import type { Connection } from '../connection/connection.js';
import { renewRateLimit } from '../connection/rate-limit.js';
import type { Session } from '../sessions/session.js';
import type { SessionStore } from '../sessions/session-store.js';

/** Whom it gives profiles to: all of a shard. */
export interface ProfileHolders {
  readonly connections: ReadonlyMap<number, Connection>;
  readonly providers: { readonly store: SessionStore<Session> };
}

/** One a shard. */
export class ClientProfiles {
  /** Of clients for whom nothing of its own is configured. */
  readonly common: ClientProfile;
  readonly #holders: ProfileHolders;
  #config: Config;
  #listeners: ReadonlyMap<string, ListenerOwnSettings> = new Map();
  #users: ReadonlyMap<string, UserOwnSettings> = new Map();
  /** By listener, then by user. */
  readonly #own = new Map<string, Map<string | null, ClientProfile>>();
  #mayQueue = true;
  /** Counts changes: what is left to be done of one ends with the next. */
  #changes = 0;

  constructor(config: Config, holders: ProfileHolders) {
    this.#config = config;
    this.#holders = holders;
    this.common = new ClientProfile('', null, config, true);
    this.#users = usersOf(config);
  }

  /** The profile of a client. @param username whom it was let in as; null: nobody, or not yet. */
  of(listener: string, username: string | null): ClientProfile {
    if (this.#listeners.size === 0 && this.#users.size === 0) return this.common;
    const ownListener = this.#listeners.has(listener) ? listener : '';
    const ownUser = username !== null && this.#users.has(username) ? username : null;
    if (ownListener === '' && ownUser === null) return this.common;
    let byUser = this.#own.get(ownListener);
    if (byUser === undefined) {
      byUser = new Map();
      this.#own.set(ownListener, byUser);
    }
    let profile = byUser.get(ownUser);
    if (profile === undefined) {
      const config = this.#configOf(ownListener, ownUser);
      profile = new ClientProfile(ownListener, ownUser, config, this.#mayQueue);
      byUser.set(ownUser, profile);
    }
    return profile;
  }

  /** Whether anything may wait for who is away: see MemoryGuard. */
  allowQueued(isAllowed: boolean): void {
    this.#mayQueue = isAllowed;
    for (const profile of this.#all()) profile.allowQueued(isAllowed);
  }

  /** All listeners there are, from here on. */
  setListeners(listeners: readonly ListenerConfig[]): void {
    const own = listeners.filter(({ ownSettings }) => areAny(ownSettings));
    const former = this.#listeners.size;
    this.#listeners = new Map(own.map(({ uri, ownSettings }) => [uri, ownSettings]));
    if (former + own.length > 0) this.#renew();
  }

  /** Another configuration holds from here on. */
  replace(config: Config): void {
    const former = this.#users.size;
    this.#config = config;
    this.#users = usersOf(config);
    this.#renew(former + this.#users.size + this.#listeners.size > 0);
  }

  /**
   * Brings profiles, and who has them, to what is configured now: connections at once, since what
   * they were told is theirs anyway (`Connection.terms`), sessions in parts.
   * @param areOthers false: everybody has the common one, and keeps it.
   */
  #renew(areOthers = true): void {
    for (const profile of this.#all()) {
      profile.take(this.#configOf(profile.listener, profile.username), this.#mayQueue);
    }
    for (const connection of this.#holders.connections.values()) {
      if (areOthers) giveProfile(connection);
      renewRateLimit(connection);
    }
    this.#changes++;
    if (!areOthers) return;
    const sessions = this.#holders.providers.store.entries();
    this.#reviseSessions(this.#changes, sessions[Symbol.iterator]());
  }

  /** Sessions whose clients are away: what may wait for them. */
  #reviseSessions(change: number, sessions: Iterator<readonly [string, Session]>): void {
    for (let count = 0; count < SESSIONS_REVISED_AT_ONCE_MAX; count++) {
      const next = sessions.next();
      if (next.done === true) {
        this.#forgetUnused();
        return;
      }
      const session = next.value[1];
      if (session.outlet === null) session.limits = this.#profileOf(session);
    }
    setImmediate(() => {
      if (change === this.#changes) this.#reviseSessions(change, sessions);
    });
  }

  /** Of which listener its client came by is known if that had values of its own then. */
  #profileOf({ limits, username }: Session): ClientProfile {
    return this.of(limits.listener ?? '', username);
  }

  /** Everybody has been given what is configured now: nobody has a profile that says nothing. */
  #forgetUnused(): void {
    for (const [listener, byUser] of this.#own) {
      for (const username of byUser.keys()) {
        const isOf = this.of(listener, username) === byUser.get(username);
        if (!isOf) byUser.delete(username);
      }
      if (byUser.size === 0) this.#own.delete(listener);
    }
  }

  #configOf(listener: string, username: string | null): Config {
    const ownOfListener = this.#listeners.get(listener);
    const ownOfUser = username === null ? undefined : this.#users.get(username);
    if (ownOfListener === undefined && ownOfUser === undefined) return this.#config;
    return { ...this.#config, ...ownOfListener, ...ownOfUser };
  }

  *#all(): Iterable<ClientProfile> {
    yield this.common;
    for (const byUser of this.#own.values()) yield* byUser.values();
  }
}

function usersOf({ users }: Config): ReadonlyMap<string, UserOwnSettings> {
  const own = users.filter(({ ownSettings }) => areAny(ownSettings));
  return new Map(own.map(({ name, ownSettings }) => [name, ownSettings]));
}
