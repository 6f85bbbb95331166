/**
 * Errors with a stable `code`. What a client did wrong is a ProtocolError; what an operator did
 * wrong a ConfigError.
 */

/** Why a connection was closed: the label of a log line and of a counter, never a free text. */
export const CloseReason = {
  clientDisconnected: 'client-disconnected',
  connectionLost: 'connection-lost',
  malformedPacket: 'malformed-packet',
  protocolViolation: 'protocol-violation',
  packetTooLarge: 'packet-too-large',
  connectRefused: 'connect-refused',
  /** A client that was accepted does not authenticate itself again as it should. */
  authenticationFailed: 'authentication-failed',
  /** A client was let in until a time, which has come. */
  admissionEnded: 'admission-ended',
  /** A reload of the configuration lets a client in no more. */
  notAuthorized: 'not-authorized',
  /** Beneath MQTT: that of TLS, or its request for a WebSocket. */
  handshakeFailed: 'handshake-failed',
  connectTimeout: 'connect-timeout',
  keepAliveTimeout: 'keep-alive-timeout',
  takenOver: 'taken-over',
  kicked: 'kicked',
  /** The listener that it came by was removed from the configuration. */
  listenerRemoved: 'listener-removed',
  unresponsive: 'unresponsive',
  /** Unfinished packets took as much as they may, and this one had not grown for longest. */
  unfinishedPacket: 'unfinished-packet',
  /** It asked for more than a setting of the operator allows. */
  quotaExceeded: 'quota-exceeded',
  /** A proxy sent no PROXY protocol header, or a wrong one. */
  proxyHeader: 'proxy-header',
  /** Its address, which a proxy has told, has too many connections, or makes too many. */
  addressLimit: 'address-limit',
  /** It did not read what was sent to it, and is not to be waited for. */
  slowConsumer: 'slow-consumer',
  /** What it has published was on its way to a worker that died: it is to send it again. */
  workerDied: 'worker-died',
  serverShutdown: 'server-shutdown',
} as const;
export type CloseReason = (typeof CloseReason)[keyof typeof CloseReason];

/** A client broke the specification: its connection is closed, nobody else notices. */
export class ProtocolError extends Error {
  readonly code = 'SURGEMQ_PROTOCOL';
  /** The normative statement broken, such as `MQTT-3.1.0-2`, or a section such as `3.3.1`. */
  readonly clause: string;
  readonly reason: CloseReason;
  /** What MQTT 5.0 says in DISCONNECT or CONNACK for it, 0x80 to 0xA2 [MQTT-4.13.2-1]. */
  readonly reasonCode: number;
  /** @param reasonCode where none is given, the one that goes with `reason`. */
  constructor(
    clause: string,
    message: string,
    reason: CloseReason = CloseReason.malformedPacket,
    reasonCode: number = reasonCodeOf(reason),
  ) {
    super(message);
    this.name = 'ProtocolError';
    this.clause = clause;
    this.reason = reason;
    this.reasonCode = reasonCode;
  }
}

/** Malformed Packet, Protocol Error, Packet too large, or Unspecified error. */
function reasonCodeOf(reason: CloseReason): number {
  switch (reason) {
    case CloseReason.malformedPacket:
      return 0x81;
    case CloseReason.protocolViolation:
      return 0x82;
    case CloseReason.packetTooLarge:
      return 0x95;
    default:
      return 0x80;
  }
}

/**
 * Bytes that came from another shard are not what they should be: a fault of this program, or of
 * the memory. What they stand for is left out, counted and logged; the shard goes on.
 */
export class RecordError extends Error {
  readonly code = 'SURGEMQ_RECORD';
  constructor(message: string) {
    super(message);
    this.name = 'RecordError';
  }
}

/** A CONNECT that gets a CONNACK with a non-zero return code and then the close [MQTT-3.2.2-5]. */
export class ConnectRefusedError extends Error {
  readonly code = 'SURGEMQ_CONNECT_REFUSED';
  /** CONNACK return code, 1 to 5 (MQTT 3.1.1, table 3.1); the nearest one where 5.0 has its own. */
  readonly returnCode: number;
  /** Reason code of an MQTT 5.0 server, 0x80 to 0x9F; 0 for a return code of 3.x. */
  readonly reasonCode: number;
  /** What such a server says, for people; null for nothing. */
  readonly reasonString: string | null;
  readonly userProperties: readonly (readonly [name: string, value: string])[];
  /** Another server to use, where it names one; null for none. */
  readonly serverReference: string | null;
  constructor(returnCode: number, message: string, said: Refusal = {}) {
    super(message);
    this.name = 'ConnectRefusedError';
    this.returnCode = returnCode;
    this.reasonCode = said.reasonCode ?? 0;
    this.reasonString = said.reasonString ?? null;
    this.userProperties = said.userProperties ?? [];
    this.serverReference = said.serverReference ?? null;
  }
}

/** What an MQTT 5.0 server may say of a refusal. */
interface Refusal {
  readonly reasonCode?: number;
  readonly reasonString?: string | null | undefined;
  readonly userProperties?: readonly (readonly [name: string, value: string])[] | undefined;
  readonly serverReference?: string | undefined;
}

/** One or more settings are wrong. `faults` has a line for each, all found in one pass. */
export class ConfigError extends Error {
  readonly code = 'SURGEMQ_CONFIG';
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(faults.join('; '));
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

/** The server could not be reached, or did not answer CONNECT in time. `cause` says why. */
export class ConnectFailedError extends Error {
  readonly code = 'SURGEMQ_CONNECT_FAILED';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ConnectFailedError';
  }
}

/** The connection ended before what was asked for was done, and is not coming back. */
export class ConnectionLostError extends Error {
  readonly code = 'SURGEMQ_CONNECTION_LOST';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ConnectionLostError';
  }
}

/** What was asked for was not done in the time allowed for it. */
export class TimeoutError extends Error {
  readonly code = 'SURGEMQ_TIMEOUT';
  constructor(message: string) {
    super(message);
    this.name = 'TimeoutError';
  }
}

/** A bounded queue or buffer is full: nothing of what was asked for was done. */
export class CapacityError extends Error {
  readonly code = 'SURGEMQ_CAPACITY';
  constructor(message: string) {
    super(message);
    this.name = 'CapacityError';
  }
}

/** Asked of a client or server after its user had closed it, or closed while it was being done. */
export class ClosedError extends Error {
  readonly code = 'SURGEMQ_CLOSED';
  constructor(message: string) {
    super(message);
    this.name = 'ClosedError';
  }
}

/**
 * The server refused Topic Filters of a SUBSCRIBE (return code 0x80 or more); the others of it
 * stand.
 */
export class SubscribeRefusedError extends Error {
  readonly code = 'SURGEMQ_SUBSCRIBE_REFUSED';
  /** The refused filters, in the order they were asked for. */
  readonly filters: readonly string[];
  /** The code of each of them: 0x80 in 3.x. */
  readonly reasonCodes: readonly number[];
  /** What an MQTT 5.0 server says of it, for people; null for nothing. */
  readonly reasonString: string | null;
  readonly userProperties: readonly (readonly [name: string, value: string])[];
  /** @param why the codes in words, where they say more than that it failed. */
  constructor(filters: readonly string[], said: Refusals = {}, why = '') {
    const list = filters.map((f) => `'${f}'`).join(', ');
    super(`the server refused to subscribe to ${list}${why}`);
    this.name = 'SubscribeRefusedError';
    this.filters = filters;
    this.reasonCodes = said.reasonCodes ?? filters.map(() => 0x80);
    this.reasonString = said.reasonString ?? null;
    this.userProperties = said.userProperties ?? [];
  }

  /** The code of the first refused filter. */
  get reasonCode(): number {
    return this.reasonCodes[0];
  }
}

/** What an MQTT 5.0 server may say of refused filters. */
interface Refusals extends Omit<Refusal, 'reasonCode'> {
  readonly reasonCodes?: readonly number[];
}

/**
 * The server answered a packet by closing the connection, on two connections in a row: it is not
 * sent a third time. It may be larger than the server takes, or its topic may not be allowed.
 */
export class PacketRejectedError extends Error {
  readonly code = 'SURGEMQ_PACKET_REJECTED';
  /** @param what the packet, such as `PUBLISH to 'a' of 2,000,000 bytes`. */
  constructor(what: string) {
    super(
      `the server closed the connection on ${what} twice: it is given up; the server may limit ` +
        'the size of packets, or what this client may do',
    );
    this.name = 'PacketRejectedError';
  }
}

/**
 * An argument that cannot be used: a fault of the calling program, found before anything was done.
 */
export class ArgumentError extends TypeError {
  readonly code = 'SURGEMQ_ARGUMENT';
  constructor(message: string) {
    super(message);
    this.name = 'ArgumentError';
  }
}
