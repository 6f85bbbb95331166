/**
 * What becomes of the listeners when a configuration is reloaded: those that stay keep their
 * sockets, and with them their clients.
 */
import type { ListenerConfig } from '../base/listener-config.js';

/** A listener that there is, as far as a plan needs to know it. */
interface Present {
  /** As it is configured, before it has a port of the system's choice. */
  readonly wanted: ListenerConfig;
}

export interface ListenerPlan<Listener> {
  /** They go by another configuration from here on, the same one as a rule. */
  readonly kept: readonly (readonly [Listener, ListenerConfig])[];
  readonly opened: readonly ListenerConfig[];
  readonly removed: readonly Listener[];
}

/**
 * Compares listeners with those that a configuration wants. One with the same URI stays; so does
 * the socket of one with the same address at which something else is spoken now, which could not be
 * opened beside it.
 */
export function planListeners<Listener extends Present>(
  present: readonly Listener[],
  wanted: readonly ListenerConfig[],
): ListenerPlan<Listener> {
  const left = new Set(present);
  const kept: [Listener, ListenerConfig][] = [];
  const take = (config: ListenerConfig, isSame: (other: ListenerConfig) => boolean): boolean => {
    const found = [...left].find((listener) => isSame(listener.wanted));
    if (found === undefined) return false;
    left.delete(found);
    kept.push([found, config]);
    return true;
  };
  const others = wanted.filter((config) => !take(config, ({ uri }) => uri === config.uri));
  const opened = others.filter((config) => !take(config, (other) => isSameAddress(other, config)));
  return { kept, opened, removed: [...left] };
}

function isSameAddress(one: ListenerConfig, other: ListenerConfig): boolean {
  if (one.kind === 'unix' || other.kind === 'unix') return false;
  return one.host === other.host && one.port === other.port && one.port !== 0;
}
