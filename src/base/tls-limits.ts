/** Bounds of TLS; a part of limits.ts. */

/** Settings of TLS that are numbers: range and default. */
export const TLS_SETTINGS = {
  /**
   * From accept to the end of the handshake, in milliseconds. Two round trips and a signature take
   * a far client with a slow modem some seconds; who takes longer holds what others wait for.
   */
  handshakeTimeoutMs: { min: 100, max: 600_000, default: 10_000 },
  /**
   * Handshakes at a time, of all shards together: each holds some 100 KB while it lasts. A shard
   * does some 1,000 a second, so these are half a second of a flood.
   */
  maxHandshakes: { min: 1, max: 100_000, default: 1_000 },
} as const;

/** Certificates of one listener: a context is made for each, in each shard. */
export const CERTIFICATES_MAX = 100;
/** Longest path of a file that a setting names, as Linux has it. */
export const PATH_BYTES_MAX = 4_095;
/** Permissions of a unix socket: of those who reach its directory, owner and group may connect. */
export const UNIX_MODE_DEFAULT = 0o660;
/**
 * Handshakes that are gone on with in one turn of the event loop: a signature takes 0.1 ms (ECDSA)
 * to 1 ms (RSA), and all other clients of the shard wait meanwhile.
 */
export const HANDSHAKES_PER_TURN = 8;
/** A shard says at most this often how many handshakes have failed. */
export const HANDSHAKE_LOG_INTERVAL_MS = 1_000;
/** How long a session ticket is good for. Beyond, its client does a whole handshake. */
export const TLS_TICKET_SECONDS = 7_200;
/** Names that clients have asked for by SNI, remembered with their certificates, per listener. */
export const SERVER_NAMES_MAX = 1_000;
/**
 * Bytes that a TLS connection has and the kernel has not taken, before more of them have to wait in
 * the outbox: what a turn of a fan-out brings, so that it goes in one piece.
 */
export const TLS_BUFFER_BYTES = 256 * 1024;
/** What OpenSSL makes tickets with: a name, and keys to sign and to encrypt. */
export const TLS_TICKET_KEY_BYTES = 48;
/**
 * How long tickets are made with the same keys: who has them reads all connections resumed so. Some
 * clients do one whole handshake more each time.
 */
export const TLS_TICKET_KEY_MS = 12 * 60 * 60 * 1_000;
/** How often it is looked whether files of certificates have changed. */
export const FILE_LOOK_MS = 2_000;
/** Days before the end of a certificate from which on that is worth a warning. */
export const CERTIFICATE_ENDS_SOON_DAYS = 14;
