/** The bounds of who may connect, with the reason for each value; `limits.ts` exports them. */

/**
 * Access rules of one Admission, as a token or a web service may bring them: each connection of it
 * may have rules of its own, and each topic may have to be compared with all of them.
 */
export const ADMISSION_RULES_MAX = 64;
/**
 * Longest time, in milliseconds, until an admission that ends is looked at again: the clock that
 * it goes by may be set.
 */
export const ADMISSION_LOOK_MS = 600_000;

// ---- passwords ---------------------------------------------------------------------------------
/** Iterations of PBKDF2 in a password file: ten million take seconds of a core for each CONNECT. */
export const HASH_ITERATIONS_MAX = 10_000_000;
/** Iterations of new PBKDF2 hashes: as many as mosquitto_passwd has had since 2.1. */
export const PBKDF2_ITERATIONS = 1_000;
/** Cost of new scrypt hashes, as a logarithm: 16 MiB and some 40 ms of a core for each CONNECT. */
export const SCRYPT_LOG_N = 14;
/** Memory for one scrypt hash. */
export const SCRYPT_BYTES_MAX = 256 * 1024 * 1024;
/** Bytes of a text among the settings: paths, URLs, names. */
export const SETTING_TEXT_BYTES_MAX = 4_096;
/** Bytes of a password file's line: a name as long as MQTT can say, and the longest hash. */
export const PASSWORD_LINE_LENGTH_MAX = 66_560;

/**
 * Passwords that are hashed at once in a process of one shard, in libuv's four threads, which
 * compete with the shards for cores; with more shards one each.
 */
export const HASHES_AT_ONCE = 2;
/** CONNECTs of a shard that may wait for a question of one kind; others are to come again. */
export const QUESTIONS_WAITING_MAX = 1_024;
/** Of those, the ones from one address, IPv6 by /64: nobody fills the queue for all others. */
export const QUESTIONS_WAITING_PER_ADDRESS_MAX = 64;
/**
 * Time until the next question of an address at which somebody has just been refused, in
 * milliseconds: 20 guesses a second, whatever the number of connections.
 */
export const AFTER_REFUSAL_MS = 50;
/**
 * User names with passwords that a shard remembers to have verified, as keyed digests of 32 bytes:
 * after a broken network all clients come at once, and hashing is what takes long.
 */
export const VERIFIED_MAX = 20_000;

// ---- refusals ----------------------------------------------------------------------------------
/** Refusals of an address that are told at once: people mistype, and several may share it. */
export const PROMPT_REFUSALS = 16;
/** Delay of the first one that is not, in milliseconds; each further one doubles it. */
export const REFUSAL_DELAY_MS = 100;
/** Longest delay of a refusal, in milliseconds. */
export const REFUSAL_DELAY_MS_MAX = 5_000;
/** Time in which half of the refusals of an address are forgotten, in milliseconds. */
export const REFUSALS_HALF_LIFE_MS = 30_000;
/** Addresses whose refusals a shard remembers; who comes first goes first. */
export const REFUSED_ADDRESSES_MAX = 16_384;
/**
 * Clients that a shard closes at once because a reload lets them in no more, each some 20
 * microseconds; the rest follow turn by turn.
 */
export const CLOSED_AT_ONCE_MAX = 128;
/** Sessions of absent clients that are given other bounds at once by a reload: some 0.2 ms. */
export const SESSIONS_REVISED_AT_ONCE_MAX = 1_024;
/** Refusals of a shard that may be delayed at a time: each holds a connection. */
export const DELAYED_REFUSALS_MAX = 1_024;

// ---- tokens and web services -------------------------------------------------------------------
/** Bytes of a token: those of today's identity providers have 1 to 4 KiB. */
export const JWT_BYTES_MAX = 16_384;
/** Bytes of a secret that tokens are signed with: those of the shortest hash (RFC 7518, 3.2). */
export const JWT_SECRET_BYTES_MIN = 32;
/** Bytes of a rule's filter in a token or an answer. */
export const RULE_FILTER_BYTES_MAX = 1_024;
/** Tokens of a shard that are verified at once, in libuv's threads: each takes 0.1 ms of a core. */
export const TOKENS_AT_ONCE = 8;
/** Age at which a set of keys is asked for again, in milliseconds. */
export const JWKS_AGE_MS_MAX = 600_000;
/** Time between two questions for a set of keys that lacks the one of a token, in milliseconds. */
export const JWKS_COOLDOWN_MS = 30_000;
/** Time until a set of keys that was not to be had is asked for again, in milliseconds. */
export const JWKS_AFTER_FAILURE_MS = 5_000;
/** Bytes of an answer of a web service. */
export const WEB_ANSWER_BYTES_MAX = 262_144;
/** Questions of a shard to a web service at once, each a connection to it. */
export const WEB_QUESTIONS_AT_ONCE = 32;
/** Of those, the ones for clients of one address. */
export const WEB_QUESTIONS_PER_ADDRESS = 8;
/** Clients of a shard that a web service has let in and that are remembered. */
export const HTTP_CACHE_ENTRIES_MAX = 20_000;

/** Defaults and ranges of numeric settings. */
export const AUTHENTICATION_SETTINGS = {
  /** Clocks of servers that keep time by NTP differ by less than a second, others by some. */
  jwtClockToleranceMs: { default: 5_000, min: 0, max: 300_000 },
  /** Half of `authTimeout`: so that its client is told, and not closed. */
  authHttpTimeoutMs: { default: 5_000, min: 100, max: 60_000 },
  /** Whoever is locked out at the service is let in for as long as this. */
  authHttpCacheMs: { default: 10_000, min: 0, max: 86_400_000 },
} as const;
