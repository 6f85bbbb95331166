/** Bounds of the configuration and of the files that it names; a part of limits.ts. */

const MIB = 1024 * 1024;

/**
 * Largest file that the configuration names. A password file with 100,000 users has 20 MiB; what is
 * larger is a slip, such as a device or a log, and would be copied to every shard.
 */
export const MATERIAL_BYTES_MAX = 64 * MIB;
/** All such files together: each shard has a copy. */
export const MATERIALS_TOTAL_BYTES_MAX = 128 * MIB;
/** Faults of one file that are told; the line behind them says how many there are. */
export const MATERIAL_FAULTS_MAX = 20;
/**
 * How long a reload waits for a shard to say that it has the configuration. A shard whose event
 * loop is held up takes it when it can; whoever asked is told so, and the next reload may begin.
 */
export const RELOAD_TIMEOUT_MS = 10_000;
/**
 * Largest configuration file: some 3,000 users with rules of their own. It is parsed in the thread
 * that accepts connections, which takes some 0.4 s at this size; more users belong into a password
 * file.
 */
export const CONFIG_FILE_BYTES_MAX = 256 * 1024;
/** Levels of a configuration file; listeners with certificates have five. */
export const CONFIG_DEPTH_MAX = 24;
/** Blanks in a row: as deep as blocks can be nested by their indentation. */
export const CONFIG_INDENT_MAX = 160;
/** Values in a configuration file, those that aliases repeat among them. */
export const CONFIG_NODES_MAX = 100_000;
/** Faults of a configuration file that are told; the line behind them says how many there are. */
export const CONFIG_FAULTS_MAX = 50;
/**
 * Faults in the writing of a configuration file after which it is read no further. A file of
 * nothing else would have 150,000, each an object with its text, and take two seconds.
 */
export const CONFIG_FAULTS_FOUND_MAX = 1_000;
/** Files of an include_dir that are taken in. */
export const INCLUDED_FILES_MAX = 1_000;
/** Those that ask a broker by its control socket at a time; each is a person or a script. */
export const CONTROL_CONNECTIONS_MAX = 8;
/** Longest thing that is asked of a broker by its control socket. */
export const CONTROL_REQUEST_BYTES_MAX = 1_024;
/** From connecting to the control socket to a whole question. */
export const CONTROL_TIMEOUT_MS = 5_000;
/** How long a command waits for the answer: a reload may wait for others, and for busy shards. */
export const CONTROL_ANSWER_TIMEOUT_MS = 60_000;
