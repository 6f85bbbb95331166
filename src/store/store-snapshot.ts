/**
 * The store as it is at one moment, for commands: read from another process too, whatever the
 * broker does meanwhile. Pages of that moment are not used again before `close`.
 */
import { rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { open, type RangeOptions, type RootDatabase, type Transaction } from 'lmdb';
import { ConfigError } from '../base/errors.js';
import { STORE_DATABASES_MAX, STORE_READ_ROWS } from '../base/limits.js';
import {
  STORE_FILE_NAME,
  STORE_VERSION,
  TABLES,
  type Table,
  type TableName,
} from './environment.js';
import type { Row } from './read-rows.js';
import { faultOfStoreFile } from './store-file.js';

const VERSION_KEY = Buffer.from('version');
const FIRST_KEY = Buffer.from([0]);

export class StoreSnapshot {
  readonly path: string;
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #tables = new Map<TableName, Table>();
  readonly #transaction: Transaction;

  /**
   * @param path of a file, or of a folder that has one.
   * @throws ConfigError in one line: there is no store, it is damaged, or of another version.
   */
  constructor(path: string) {
    this.path = storeFileOf(path);
    const fault = faultOfStoreFile(this.path);
    if (fault !== null) throw new ConfigError([`${this.path} ${fault}`]);
    const encoding = { encoding: 'binary', keyEncoding: 'binary' } as const;
    this.#root = open<Buffer, Buffer>({
      path: this.path,
      noSubdir: true,
      readOnly: true,
      maxDbs: STORE_DATABASES_MAX,
      ...encoding,
    });
    const version = this.#root.get(VERSION_KEY)?.[0];
    if (version !== STORE_VERSION) {
      void this.#root.close();
      const what = `is a store of version ${version ?? 'none'}, and this program knows`;
      throw new ConfigError([`${this.path} ${what} ${STORE_VERSION}`]);
    }
    for (const name of TABLES) {
      const table = this.#root.openDB<Buffer, Buffer>({ name, ...encoding }) as Table | undefined;
      if (table !== undefined) this.#tables.set(name, table);
    }
    this.#transaction = this.#root.useReadTransaction();
  }

  get(name: TableName, key: Buffer): Buffer | undefined {
    const options = { transaction: this.#transaction };
    return this.#tables.get(name)?.get(key, options);
  }

  /** All rows of a table, or those from `start` to before `end`, in order. */
  *rows(name: TableName, start: Buffer = FIRST_KEY, end?: Buffer): Generator<Row> {
    const table = this.#tables.get(name);
    if (table === undefined) return;
    let from = start;
    let isBehind = false;
    for (;;) {
      const range: RangeOptions = {
        start: from,
        limit: STORE_READ_ROWS,
        exclusiveStart: isBehind,
        transaction: this.#transaction,
      };
      const found: Row[] = [...table.getRange(end === undefined ? range : { ...range, end })];
      yield* found;
      if (found.length < STORE_READ_ROWS) return;
      from = found[found.length - 1].key;
      isBehind = true;
    }
  }

  /** Writes a consistent copy, without free pages. @param path of a file that is not there. */
  copyTo(path: string): Promise<void> {
    return this.#root.backup(path, true);
  }

  async close(): Promise<void> {
    this.#transaction.done();
    await this.#root.close();
    // LMDB's own: no broker uses one beside a backup.
    if (basename(this.path) !== STORE_FILE_NAME) rmSync(`${this.path}-lock`, { force: true });
  }
}

/**
 * The file of a store. @param path of it, or of the folder that it lies in.
 * @throws ConfigError where there is none.
 */
export function storeFileOf(path: string): string {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const file = isFolder ? join(path, STORE_FILE_NAME) : path;
  if (statSync(file, { throwIfNoEntry: false })?.isFile()) return file;
  throw new ConfigError([`there is no store in ${path}`]);
}
