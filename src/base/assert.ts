/** Programmer errors. A broken invariant stops the thread; its supervisor starts a new one. */

/**
 * States what must hold here whatever came over the wire.
 * @throws Error when `condition` is false: a fault of this program, never of a client.
 */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${what}`);
}

/** Marks a branch that the types say cannot be reached. @throws Error always. */
export function unreachable(value: never): never {
  throw new Error(`unreachable value: ${String(value)}`);
}
