/**
 * Topic Aliases that the server gives on one connection [MQTT 5.0, 3.3.2.3.4]: to the topics that
 * come often, as each that is given is told with the topic once more.
 */
import { TOPIC_ALIASES_GIVEN_MAX } from '../base/limits.js';

/** Topics without an alias that are remembered: one that comes again meanwhile gets one. */
const CANDIDATES = 8;
/** As often as this a topic is passed over when another one needs its alias. */
const USES_COUNTED_MAX = 15;

/** The aliases of one connection; made by the first delivery to a client that accepts any. */
export class OutgoingAliases {
  /** Whether the client knows the alias that `aliasOf` has returned last. */
  isKnown = false;
  readonly #maximum: number;
  readonly #aliases = new Map<string, number>();
  /** By alias - 1: its topic, and how often it was used since it was last passed over. */
  readonly #topics: string[] = [];
  readonly #uses: number[] = [];
  readonly #candidates: string[] = [];
  #nextCandidate = 0;
  /** The alias - 1 that is looked at next when one is needed. */
  #hand = 0;

  /** @param maximum Topic Alias Maximum of the client, 1 or more. */
  constructor(maximum: number) {
    this.#maximum = Math.min(maximum, TOPIC_ALIASES_GIVEN_MAX);
  }

  /**
   * The alias that the next message of this topic goes out with; 0: none. What is returned has to
   * be sent: the client learns from it what the alias means, unless `isKnown`.
   */
  aliasOf(topicKey: string): number {
    const alias = this.#aliases.get(topicKey);
    if (alias !== undefined) {
      this.isKnown = true;
      if (this.#uses[alias - 1]! < USES_COUNTED_MAX) this.#uses[alias - 1]!++;
      return alias;
    }
    this.isKnown = false;
    if (!this.#candidates.includes(topicKey)) {
      this.#candidates[this.#nextCandidate] = topicKey;
      this.#nextCandidate = (this.#nextCandidate + 1) % CANDIDATES;
      return 0;
    }
    return this.#give(topicKey);
  }

  /**
   * As `aliasOf`, where the client knows an alias of the topic already; 0: it does not, and nothing
   * is noted.
   */
  knownAliasOf(topicKey: string): number {
    return this.#aliases.has(topicKey) ? this.aliasOf(topicKey) : 0;
  }

  /** What was to tell the client the alias of this topic could not be sent. */
  forget(topicKey: string): void {
    const alias = this.#aliases.get(topicKey);
    if (alias === undefined) return;
    this.#aliases.delete(topicKey);
    this.#topics[alias - 1] = '';
    this.#uses[alias - 1] = 0;
  }

  /** A free alias, or that of a topic that has come less often than it was passed over. */
  #give(topicKey: string): number {
    let place = this.#topics.length;
    if (place >= this.#maximum) {
      place = this.#hand;
      this.#hand = (place + 1) % this.#maximum;
      if (this.#uses[place]! > 0) {
        this.#uses[place]!--;
        return 0;
      }
      this.#aliases.delete(this.#topics[place]!);
    }
    this.#topics[place] = topicKey;
    this.#uses[place] = 1;
    this.#aliases.set(topicKey, place + 1);
    return place + 1;
  }
}
