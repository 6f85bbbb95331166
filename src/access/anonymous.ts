/**
 * Safe by default: who says nothing of itself is let in where nobody from outside comes, and
 * elsewhere only where an operator has said so.
 */
import { isIP } from 'node:net';
import type { Config } from '../base/config.js';
import type { ListenerConfig } from '../base/listener-config.js';
import { authenticatorNames, doesAnybodyDecide } from './authenticator-names.js';

const LOOPBACK = /^(?:::ffff:)?127(?:\.\d{1,3}){3}$|^::1$/i;
const LOCAL_NAME = /^(?:[a-z0-9-]+\.)*localhost$/i;

/** Whether only this machine reaches a host that is listened on. Of names `localhost` alone. */
export function isLoopback(host: string): boolean {
  return isIP(host) === 0 ? LOCAL_NAME.test(host) : LOOPBACK.test(host);
}

/** Whether nobody comes by a listener but this machine, or whoever has a certificate for it. */
function isGuarded({ kind, host, tls }: ListenerConfig): boolean {
  return kind === 'unix' || isLoopback(host) || tls?.clientCertificate === 'required';
}

/** Finds a listener by its URI; undefined when it is there no more. */
export type FindListener = (uri: string) => ListenerConfig | undefined;

/** What the configuration says of clients without credentials. One a chain. */
export class AnonymousClients {
  readonly #config: Config;
  readonly #findListener: FindListener;
  readonly #isAnybodyAsked: boolean;

  constructor(config: Config, findListener: FindListener) {
    this.#config = config;
    this.#findListener = findListener;
    this.#isAnybodyAsked = doesAnybodyDecide(authenticatorNames(config));
  }

  /** They are turned away whatever an authenticator would say. */
  areRefused(listener = ''): boolean {
    return this.#choice(listener) === false;
  }

  /** They are let in where no authenticator has said anything. @param listener its URI. */
  areAllowed(listener = ''): boolean {
    const choice = this.#choice(listener);
    if (choice !== null) return choice;
    const known = this.#findListener(listener);
    return !this.#isAnybodyAsked && known !== undefined && isGuarded(known);
  }

  /** What the operator has said: null for nothing. */
  #choice(listener: string): boolean | null {
    return this.#findListener(listener)?.allowAnonymous ?? this.#config.allowAnonymous;
  }
}

/** Why no connections may be accepted, a line for each listener that is open to everybody. */
export function openListenerFaults(config: Config, listeners: readonly ListenerConfig[]): string[] {
  if (doesAnybodyDecide(authenticatorNames(config))) return [];
  const isSaid = (choice: boolean | null): boolean => (choice ?? config.allowAnonymous) !== null;
  return listeners
    .filter((listener) => !isSaid(listener.allowAnonymous) && !isGuarded(listener))
    .map(
      ({ uri }) =>
        `cannot listen on ${uri}: everybody could connect there; say who may ` +
        '(SURGEMQ_PASSWORD_FILE, made with surgemq passwd), or let everybody in ' +
        '(SURGEMQ_ALLOW_ANONYMOUS=true)',
    );
}
