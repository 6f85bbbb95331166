/** States, events and options of a client. */
import type { Properties } from '../protocol/v5/index.js';
import type { CallOptions } from './call.js';
import type { Message } from './message.js';
import type { PublishFailure } from './outgoing-faults.js';

/** Where a client stands. */
export type ClientState =
  /** Not connected yet, or the first attempt failed. */
  | 'idle'
  | 'connecting'
  | 'connected'
  /** The connection was lost; the client waits for the next attempt, or makes it. */
  | 'reconnecting'
  /** `disconnect` was called and waits for acks. */
  | 'disconnecting'
  /** Disconnected, or given up. `connect` begins anew. */
  | 'closed';

/** Events of a client, with the arguments of their listeners. */
export interface ClientEvents {
  /** The server accepted a connection, the first one or another. */
  connect: [{ readonly sessionPresent: boolean }];
  /** A connection has ended; `error` is null after `disconnect()`. */
  disconnect: [{ readonly error: Error | null; readonly willReconnect: boolean }];
  /** The next attempt is made in `delayMs`. */
  reconnecting: [{ readonly attempt: number; readonly delayMs: number; readonly error: Error }];
  /**
   * The server broke the protocol, refused what it had granted before or twice answered a packet by
   * closing, the client gave up, or a message handler threw. Without a listener the last is an
   * uncaught exception, the others are not reported.
   */
  error: [unknown];
  /**
   * Messages that were not published: their promises reject as well, but nobody need wait for
   * them. Without a listener it is not reported.
   */
  publishError: [PublishFailure];
  /** Every message received, whether it has a handler or not. */
  message: [Message];
}

/** Options of `disconnect`. Its limits bound the wait for acks; it disconnects all the same. */
export interface DisconnectOptions extends CallOptions {
  /** Default true: first waits for what was published and asked for, for `ackTimeout` at most. */
  readonly drain?: boolean | undefined;
  /**
   * In MQTT 5.0, default 0, normal disconnection; 4 has the server publish the will
   * [MQTT-3.14.4-3].
   */
  readonly reasonCode?: number | undefined;
  /**
   * In MQTT 5.0; a Session Expiry Interval here takes the place of CONNECT's, unless that was 0
   * [MQTT 5.0, 3.14.2.2.2].
   */
  readonly properties?:
    | Pick<Properties, 'sessionExpiryInterval' | 'reasonString' | 'userProperties'>
    | undefined;
}
