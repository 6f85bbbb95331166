/** Bounds of what comes before MQTT: addresses, proxies, WebSocket. Part of limits.ts. */

// ---- connections by address --------------------------------------------------------------------
/**
 * Addresses that are counted at a time, over all shards: 64 bytes each with ten workers, of pages
 * that nobody touches before there are so many. Beyond, an address is let in without its own
 * limits: an attacker with so many networks is held by the limits for all.
 */
export const ADDRESSES_COUNTED_MAX = 262_144;
/** Places in which an address may be counted: one more look each for a connection. */
export const ADDRESS_PLACES = 8;
/** Longest time that one connection of a rate keeps others waiting: a rate of 1 in a second. */
export const RATE_WINDOW_MS = 1_000;

/** Listeners at a time; connections are counted for each, in 4 KiB of words a shard. */
export const LISTENERS_MAX = 1_024;

/** Defaults and ranges of the settings; see SETTINGS in limits.ts. */
export const EDGE_SETTINGS = {
  /** None: a whole fleet may sit behind one address, and whoever runs it knows how large it is. */
  maxConnectionsPerAddress: { default: 0, min: 0, max: 10_000_000 },
  connectRatePerAddress: { default: 0, min: 0, max: 100_000 },
  connectRate: { default: 0, min: 0, max: 100_000 },
} as const;

// ---- PROXY protocol ----------------------------------------------------------------------------
/**
 * Longest header: 16 bytes, the longest addresses (216) and what proxies add of TLS, names and
 * clouds, which is some hundred bytes, a client certificate at most.
 */
export const PROXY_HEADER_BYTES_MAX = 4_096;
/** Networks that may be named as proxies: a few for each listener are usual. */
export const PROXY_NETWORKS_MAX = 256;

// ---- WebSocket ---------------------------------------------------------------------------------
/** Longest request: browsers send cookies and tokens of some KiB. */
export const WEBSOCKET_REQUEST_BYTES_MAX = 16_384;
/**
 * Bytes of requests that have come in part, in one worker: 1,000 of the longest. One that comes
 * whole takes none of it, so attackers do not shut out others, and theirs end with connectTimeout.
 */
export const WEBSOCKET_REQUESTS_TOTAL_BYTES = 16_384_000;
/** Headers of a request: browsers send some 20. */
export const WEBSOCKET_HEADERS_MAX = 100;
/** A frame that is sent is copied behind its header up to this length: a write more costs more. */
export const WEBSOCKET_COPY_BYTES_MAX = 16_384;
/** Values of `Origin` that may be named. */
export const WEBSOCKET_ORIGINS_MAX = 256;
