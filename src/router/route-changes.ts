/**
 * Which wildcard filters have changed lately. A change then costs nothing for each cached route:
 * one is checked against the changes since it was resolved, when it is used next.
 */
import {
  ROUTE_CACHE_TOPIC_BYTES_MAX,
  ROUTE_CHANGES_KEPT,
  TOPIC_LEVELS_MAX,
} from '../base/limits.js';
import { matchesKey } from '../topics/topic.js';

/**
 * A longer filter matches no topic that is cached: a level of it is at least as long in the topic
 * as in the filter, but for `+`, which may stand for an empty one, and `/#`, which may for nothing.
 */
const FILTER_BYTES_MAX = ROUTE_CACHE_TOPIC_BYTES_MAX + TOPIC_LEVELS_MAX + 2;
/** A filter that matches nothing. */
const NO_FILTER = '';

/** One a route cache. Changes are numbered from 1. */
export class RouteChanges {
  /** The last ROUTE_CHANGES_KEPT, each in the place its number says. */
  readonly #filterKeys = new Array<string>(ROUTE_CHANGES_KEPT).fill(NO_FILTER);

  /** Notes a change. To be called for every number in turn. */
  note(change: number, filterKey: string): void {
    const isOfInterest = filterKey.length <= FILTER_BYTES_MAX;
    this.#filterKeys[change & (ROUTE_CHANGES_KEPT - 1)] = isOfInterest ? filterKey : NO_FILTER;
  }

  /**
   * Whether the changes behind number `since`, up to `last`, have left a topic alone: false too
   * when they are not known any more.
   */
  haveSpared(topicKey: string, since: number, last: number): boolean {
    if (last - since > ROUTE_CHANGES_KEPT) return false;
    for (let change = since + 1; change <= last; change++) {
      const filterKey = this.#filterKeys[change & (ROUTE_CHANGES_KEPT - 1)]!;
      if (filterKey !== NO_FILTER && matchesKey(filterKey, topicKey)) return false;
    }
    return true;
  }
}
