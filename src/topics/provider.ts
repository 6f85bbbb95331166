/**
 * What a shard needs to know of topics, as an interface, so that another implementation can take
 * the place of the trees in memory.
 */
import { Registry } from '../base/registry.js';
import type { Grant } from './grant.js';
import type { MatchWalk } from './match-walk.js';
import { type RetainedMatch, RetainedTree } from './retained-tree.js';
import {
  type MatchResult,
  type Subscriber,
  SubscriptionTree,
  type Unsubscribed,
} from './subscription-tree.js';

/**
 * Subscriptions and retained messages of one shard. Each shard makes its own provider. All names
 * and filters are topic keys (topic.ts) that the shard has found valid; all calls but `close` are
 * synchronous.
 */
export interface TopicsProvider<S extends Subscriber, V> {
  /** See SubscriptionTree.subscribe: true when this is the filter's first local subscriber. */
  subscribe(filterKey: string, subscriber: S, grant: Grant): boolean;
  unsubscribe(filterKey: string, subscriber: S): Unsubscribed;
  /** Another shard (0 to 31) has subscribers of the filter, or has none any more. */
  addShard(filterKey: string, shardIndex: number): void;
  removeShard(filterKey: string, shardIndex: number): void;
  /** See SubscriptionTree: who keeps what is for some subscriber of the filter in a store. */
  keepShard(filterKey: string, shardIndex: number): void;
  filtersKeptBy(shardIndex: number): Iterable<string>;
  keepHere(filterKey: string): boolean;
  isKeptHere(filterKey: string): boolean;
  /**
   * A shard died. Lazy, in short steps, between which anything but `addShard` for this shard may be
   * called.
   */
  removeShardEverywhere(shardIndex: number): Iterator<void>;
  /** Filters with a local subscriber, each once. */
  localFilters(): Iterable<string>;
  /** Filters with a local subscriber or an interested shard. */
  readonly filterCount: number;
  /**
   * Replaces what `result` held. Runs for each publish whose route is not cached: no allocation.
   */
  match(topicKey: string, result: MatchResult<S>): void;
  /** As `match`, in parts where it takes many steps: see SubscriptionTree.matchWithin. */
  matchWithin(topicKey: string, result: MatchResult<S>, stepsMax: number): MatchWalk | null;
  resumeMatch(walk: MatchWalk, result: MatchResult<S>, stepsMax: number): boolean;
  abandonMatch(walk: MatchWalk): void;
  /** Steps that matches have taken since the provider was made. */
  readonly matchSteps: number;

  /**
   * Sets the retained value of a topic; where retained messages are kept on disk neither this is
   * called nor what follows. @returns the value it replaces, if any.
   */
  setRetained(topicKey: string, value: V): V | undefined;
  getRetained(topicKey: string): V | undefined;
  /** @returns the value the topic had, if any. */
  deleteRetained(topicKey: string): V | undefined;
  /** Lazy, tolerant of changes while it is left, in steps if wanted: see RetainedTree.match. */
  matchRetained(filterKey: string): Generator<RetainedMatch<V>, void, undefined>;
  matchRetained(
    filterKey: string,
    stepsMax: number,
  ): Generator<RetainedMatch<V> | null, void, undefined>;
  readonly retainedCount: number;

  /** Called once, when the shard stops. Nothing is called after it. */
  close(): void | Promise<void>;
}

/** Makes the provider of one shard. Generic, as a provider only keeps subscribers and values. */
export type TopicsProviderFactory = <S extends Subscriber, V>() =>
  | TopicsProvider<S, V>
  | Promise<TopicsProvider<S, V>>;

const registry = new Registry<TopicsProviderFactory>('topics provider');

/**
 * Makes the provider that ships under a name, or that of a module whose default export is a
 * TopicsProviderFactory. @throws ConfigError with one line when there is none or it fails.
 */
export function createTopicsProvider<S extends Subscriber, V>(
  nameOrSpecifier: string,
): Promise<TopicsProvider<S, V>> {
  return registry.create(nameOrSpecifier, (factory) => factory<S, V>());
}

/** The shipped provider, `mem`: both trees in the shard's memory. */
class MemoryTopicsProvider<S extends Subscriber, V>
  extends SubscriptionTree<S>
  implements TopicsProvider<S, V>
{
  readonly #retained = new RetainedTree<V>();

  setRetained(topicKey: string, value: V): V | undefined {
    return this.#retained.set(topicKey, value);
  }

  getRetained(topicKey: string): V | undefined {
    return this.#retained.get(topicKey);
  }

  deleteRetained(topicKey: string): V | undefined {
    return this.#retained.delete(topicKey);
  }

  matchRetained(filterKey: string): Generator<RetainedMatch<V>, void, undefined>;
  matchRetained(
    filterKey: string,
    stepsMax: number,
  ): Generator<RetainedMatch<V> | null, void, undefined>;
  matchRetained(
    filterKey: string,
    stepsMax = Number.POSITIVE_INFINITY,
  ): Generator<RetainedMatch<V> | null, void, undefined> {
    return this.#retained.match(filterKey, stepsMax);
  }

  get retainedCount(): number {
    return this.#retained.count;
  }

  close(): void {}
}

registry.register('mem', <S extends Subscriber, V>() => new MemoryTopicsProvider<S, V>());
