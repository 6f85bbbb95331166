/**
 * Named factories: what the auth, sessions and topics providers have in common. A provider runs
 * inside the shards, where a program that embeds the broker cannot register one: the names are
 * those that ship, and any other is a module specifier whose default export is the factory.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from './errors.js';

/** Factories of type `F` by name. */
export class Registry<F extends (...args: never[]) => unknown> {
  readonly #kind: string;
  readonly #factories = new Map<string, F>();

  /** `kind` is what messages call a member, such as `topics provider`. */
  constructor(kind: string) {
    this.#kind = kind;
  }

  /** Registered names, in the order of registration. */
  get names(): readonly string[] {
    return [...this.#factories.keys()];
  }

  /** @throws Error when the name is empty or taken, or the factory is no function. */
  register(name: string, factory: F): void {
    if (name === '') throw new Error(`a ${this.#kind} needs a name`);
    if (typeof factory !== 'function') {
      throw new Error(`the factory of ${this.#kind} "${name}" is no function`);
    }
    if (this.#factories.has(name)) throw new Error(`${this.#kind} "${name}" is already registered`);
    this.#factories.set(name, factory);
  }

  /**
   * Finds the factory of a registered name or of a module: a path (from the working directory), a
   * `file:` URL or the name of a package.
   * @throws ConfigError with one line when there is none.
   */
  async find(nameOrSpecifier: string): Promise<F> {
    return this.#factories.get(nameOrSpecifier) ?? (await this.#import(nameOrSpecifier));
  }

  /**
   * Finds the factory and lets `make` call it.
   * @throws ConfigError with one line when there is no factory, or it throws.
   */
  async create<T>(nameOrSpecifier: string, make: (factory: F) => T | Promise<T>): Promise<T> {
    const factory = await this.find(nameOrSpecifier);
    try {
      return await make(factory);
    } catch (error) {
      throw this.#fault(`${this.#kind} "${nameOrSpecifier}" failed to start: ${lineOf(error)}`);
    }
  }

  async #import(specifier: string): Promise<F> {
    const isPath = /^\.{0,2}\//.test(specifier);
    let module: { readonly default?: unknown };
    try {
      module = await import(isPath ? pathToFileURL(resolve(specifier)).href : specifier);
    } catch (error) {
      const known = this.names.join(', ');
      throw this.#fault(
        `${this.#kind} "${specifier}" is neither ${known} nor a module: ${lineOf(error)}`,
      );
    }
    if (typeof module.default !== 'function') {
      throw this.#fault(`${this.#kind} "${specifier}": its default export is no function`);
    }
    return module.default as F;
  }

  #fault(message: string): ConfigError {
    return new ConfigError([message]);
  }
}

/** The first line of an error's message. */
function lineOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0]!;
}
