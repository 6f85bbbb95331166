/** What can go wrong with a server as a whole, for the program that embeds it. */

/** Why: the `code` of a ServerError. */
export const ServerErrorCode = {
  /** The server was closed, or is not open yet. */
  notOpen: 'SURGEMQ_NOT_OPEN',
  /** A shard could not start; the message says why. */
  startFailed: 'SURGEMQ_START_FAILED',
  /** Shards die again and again. */
  gaveUp: 'SURGEMQ_GAVE_UP',
  /**
   * A publication was not confirmed: no shard was there to take it, or the one that took it died.
   */
  notPublished: 'SURGEMQ_NOT_PUBLISHED',
  /** A shard could not go by a reloaded configuration, which the others go by. */
  notReloaded: 'SURGEMQ_NOT_RELOADED',
} as const;
export type ServerErrorCode = (typeof ServerErrorCode)[keyof typeof ServerErrorCode];

/** An operating fault in one line; `cause` is what a shard died of, if one did. */
export class ServerError extends Error {
  readonly code: ServerErrorCode;
  constructor(code: ServerErrorCode, message: string, cause?: Error) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ServerError';
    this.code = code;
  }
}
