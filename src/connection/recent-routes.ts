/** The routes that a connection has used before its last one. */
import { RECENT_ROUTES } from '../base/limits.js';
import type { Route, RouteCache } from '../router/route.js';

/** Picks one change of route in eight, at distances that fit no rhythm of topics. */
const SPREAD = 0x9e3779b1;
const SPREAD_SHIFT = 29;

/** At most RECENT_ROUTES of them, in a ring. One for each connection that has two topics. */
export class RecentRoutes {
  readonly #routes: Route[] = [];
  #changes = 0;
  #noted = 0;

  /** The one of this topic, null when it is not there. */
  find(cache: RouteCache, buffer: Buffer, topicStart: number, topicLength: number): Route | null {
    const routes = this.#routes;
    for (let index = 0; index < routes.length; index++) {
      const route = routes[index]!;
      if (cache.isFresh(route) && route.isTopic(buffer, topicStart, topicLength)) return route;
    }
    return null;
  }

  /** The connection goes another way than this. */
  note(route: Route): void {
    // Of ever new topics some will do, as each that is kept costs the collector.
    const change = this.#changes++;
    if (change >= RECENT_ROUTES && Math.imul(change, SPREAD) >>> SPREAD_SHIFT !== 0) return;
    if (this.#routes.includes(route)) return;
    this.#routes[this.#noted++ % RECENT_ROUTES] = route;
  }

  /** Those of other topics than `last`. */
  besides({ topicKey }: Route): Route[] {
    return this.#routes.filter((route) => route.topicKey !== topicKey);
  }
}
