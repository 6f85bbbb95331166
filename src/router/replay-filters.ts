/** Filters whose retained messages a session is to be sent. */
import type { Grant } from '../topics/grant.js';

/** Filters of a SUBSCRIBE, with what each is granted. */
export type Filters = readonly (readonly [filterKey: string, grant: Grant])[];

/**
 * A filter of a session that comes from another shard, all of which is still to be sent: which
 * SUBSCRIBE of its replay has asked.
 */
export type MovedFilter = readonly [filterKey: string, grant: Grant, since: number];

/** A topic that comes live is looked for among no more filters than these. */
export const FILTERS_LOOKED_THROUGH = 64;
