/** How stores of older versions become those of today: each step in the transaction of all. */
import type { Table, TableName } from './environment.js';

/** What a step may change. */
export interface MigratedStore {
  readonly tables: Readonly<Record<TableName, Table>>;
}

/** A step from one version to the next. */
export type Migration = (store: MigratedStore) => void;

/** The first one makes version 2 of version 1. A store of today has one version more than these. */
export const MIGRATIONS: readonly Migration[] = [];
