/** Errors of MQTT 5.0's client side, that carry what the server says of them. */
import { ConnectionLostError } from './errors.js';

/** What an MQTT 5.0 server says of a refusal, or of the end of a connection. */
export interface ServerReason {
  /** 0x80 to 0xFF for what failed; 0 where a 3.x server has said no more than that. */
  readonly reasonCode: number;
  /** Its words, for people; null for none. */
  readonly reasonString: string | null;
  /** Names and values, in their order. */
  readonly userProperties: readonly (readonly [name: string, value: string])[];
}

/** Nothing is known: the server speaks 3.x. */
export const NO_REASON: ServerReason = Object.freeze({
  reasonCode: 0,
  reasonString: null,
  userProperties: Object.freeze([]),
});

/** The server answered a PUBLISH with a reason code of 0x80 or more: it has not taken it. */
export class PublishRefusedError extends Error implements ServerReason {
  readonly code = 'SURGEMQ_PUBLISH_REFUSED';
  readonly reasonCode: number;
  readonly reasonString: string | null;
  readonly userProperties: ServerReason['userProperties'];
  constructor(message: string, reason: ServerReason) {
    super(message);
    this.name = 'PublishRefusedError';
    this.reasonCode = reason.reasonCode;
    this.reasonString = reason.reasonString;
    this.userProperties = reason.userProperties;
  }
}

/** The server refused Topic Filters of an UNSUBSCRIBE; the others of it are unsubscribed. */
export class UnsubscribeRefusedError extends Error implements ServerReason {
  readonly code = 'SURGEMQ_UNSUBSCRIBE_REFUSED';
  /** The refused filters, in the order of the call. */
  readonly filters: readonly string[];
  /** Of the first of them. */
  readonly reasonCode: number;
  readonly reasonString: string | null;
  readonly userProperties: ServerReason['userProperties'];
  constructor(filters: readonly string[], message: string, reason: ServerReason) {
    super(message);
    this.name = 'UnsubscribeRefusedError';
    this.filters = filters;
    this.reasonCode = reason.reasonCode;
    this.reasonString = reason.reasonString;
    this.userProperties = reason.userProperties;
  }
}

/** The server ended the connection with a DISCONNECT [MQTT 5.0, 3.14], which says why. */
export class ServerDisconnectedError extends ConnectionLostError implements ServerReason {
  readonly reasonCode: number;
  readonly reasonString: string | null;
  readonly userProperties: ServerReason['userProperties'];
  /** Another server to use, where it names one; null for none. */
  readonly serverReference: string | null;
  constructor(message: string, reason: ServerReason, serverReference: string | null) {
    super(message);
    this.name = 'ServerDisconnectedError';
    this.reasonCode = reason.reasonCode;
    this.reasonString = reason.reasonString;
    this.userProperties = reason.userProperties;
    this.serverReference = serverReference;
  }
}

/** Client and server do not authenticate each other; `cause` is what the method says of it. */
export class AuthenticationError extends Error {
  readonly code = 'SURGEMQ_AUTHENTICATION';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AuthenticationError';
  }
}

/**
 * What was asked for is beyond what the server said in CONNACK that it takes: it was not sent, and
 * everything else goes on.
 */
export class ServerLimitError extends Error {
  readonly code = 'SURGEMQ_SERVER_LIMIT';
  /**
   * 0x95 Packet too large, 0x9A Retain not supported, 0x9B QoS not supported, 0x9E, 0xA1 or 0xA2
   * for Shared Subscriptions, Subscription Identifiers or wildcards that are not.
   */
  readonly reasonCode: number;
  constructor(message: string, reasonCode: number) {
    super(message);
    this.name = 'ServerLimitError';
    this.reasonCode = reasonCode;
  }
}
