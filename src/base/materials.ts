/**
 * Contents of the files that the configuration names (users, rules, certificates, keys), read
 * together by the primary: so all shards, and each reload, see the same moment of all of them.
 */

/** By path, as the configuration has it. */
export type Materials = ReadonlyMap<string, string>;

/** Of a configuration that names no files. */
export const NO_MATERIALS: Materials = new Map();
