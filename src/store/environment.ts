/**
 * The tables of the durable store, in one LMDB environment that all threads of the process share:
 * one of them writes at a time, all read what is committed. Rows are bytes; what they mean is said
 * by those who write them.
 */
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import type { Durability } from '../base/durability.js';
import { ConfigError } from '../base/errors.js';
import { latin1Text } from '../base/latin1.js';
import {
  STORE_DATABASES_MAX,
  STORE_LOCK_BYTES,
  STORE_MAP_BYTES,
  STORE_TREE_BYTES,
} from '../base/limits.js';
import { DiskFullError, reserveNewFile } from './disk-reserve.js';
import { NUMBER_BYTES } from './keys.js';
import { MIGRATIONS, type Migration } from './migrations.js';
import type { InPlaceDecoder, RowDecoder, Scan } from './scan.js';
import { faultOfStoreFile } from './store-file.js';

/** What there is a table for. */
export const TABLES = [
  'sessions',
  'subscriptions',
  'queue',
  'runs',
  'holders',
  'bits',
  'retained',
  'pending',
  'doomed',
  'totals',
  'replays',
] as const;
export type TableName = (typeof TABLES)[number];

/** Rows by their keys, in the order of those. */
export type Table = Database<Buffer, Buffer>;

/** The same, by keys that are latin1 texts. */
export type TextTable = Database<Buffer, string>;

/** Its owner alone may look at what clients have said. */
export const STORE_FILE_MODE = 0o600;
/** Name of the file in the folder. */
export const STORE_FILE_NAME = 'store.mdb';
/** Of what is written today: a newer one is refused, an older one is migrated. */
export const STORE_VERSION: number = MIGRATIONS.length + 1;
const VERSION_KEY = Buffer.from('version');
const PENDING_RESERVE_KEY = Buffer.from('pending-reserve');

function writeKey(key: string, target: Buffer, start: number): number {
  return start + target.write(key, start, 'latin1');
}

function refuseToRead(): never {
  throw new Error('this table is only written');
}

function refuseToWrite(): never {
  throw new Error('a scan writes nothing');
}

/**
 * A row in the memory that lmdb reads into. That is longer, and says that it is as long as the row
 * by a property of its own, which Node's methods do not look at from 24 on.
 */
function asLongAsItSays(row: Buffer): Buffer {
  return row.subarray(0, row.length);
}

/** What LMDB says of a tree. */
interface TreeStats {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

interface StoreStats extends TreeStats {
  readonly free: TreeStats;
}

function pagesOf(tree: TreeStats): number {
  return tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages;
}

/** One thread's access to the store. */
export class Environment {
  readonly path: string;
  readonly tables: Readonly<Record<TableName, Table>>;
  readonly #root: RootDatabase<Buffer, Buffer>;

  /**
   * @param folder that this process has locked.
   * @param migrations tests bring their own.
   * @throws ConfigError in one line: the file is no store, is corrupt, or of a newer version.
   */
  constructor(
    folder: string,
    durability: Durability,
    migrations: readonly Migration[] = MIGRATIONS,
  ) {
    this.path = join(folder, STORE_FILE_NAME);
    const fault = faultOfStoreFile(this.path);
    if (fault !== null) throw new ConfigError([`${this.path} ${fault}`]);
    try {
      reserveNewFile(this.path, STORE_TREE_BYTES);
      reserveNewFile(`${this.path}-lock`, STORE_LOCK_BYTES);
      this.#root = open<Buffer, Buffer>({
        path: this.path,
        noSubdir: true,
        encoding: 'binary',
        keyEncoding: 'binary',
        maxDbs: STORE_DATABASES_MAX,
        mapSize: STORE_MAP_BYTES,
        noSync: durability !== 'fsync',
        // Else a commit returns before the disk has it.
        overlappingSync: false,
        ...{ permissionsMode: STORE_FILE_MODE },
      });
      this.#refuseNewer(migrations.length + 1);
      const tables = TABLES.map((name) => [name, this.#openTable(name)] as const);
      this.tables = Object.fromEntries(tables) as Record<TableName, Table>;
      this.#bringUpToDate(migrations);
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      throw new ConfigError([`${this.path} cannot be opened: ${(error as Error).message}`]);
    }
  }

  /**
   * Makes changes, all or none; they are durable when it returns.
   * @throws Error when the disk does not take them: nothing has changed then.
   */
  transaction(change: () => void): void {
    this.#root.transactionSync(change);
  }

  /** Behind all numbers that rows of `pending` have ever had, those that are gone too. */
  get pendingReserve(): number {
    return this.#root.get(PENDING_RESERVE_KEY)?.readUIntBE(0, NUMBER_BYTES) ?? 0;
  }

  /** To be set in a transaction, before there is a row with a number that is not below it. */
  set pendingReserve(number: number) {
    const value = Buffer.allocUnsafe(NUMBER_BYTES);
    value.writeUIntBE(number, 0, NUMBER_BYTES);
    this.#root.putSync(PENDING_RESERVE_KEY, value);
  }

  /**
   * Why a transaction has failed, in the operator's words.
   * @throws Error when LMDB takes no transaction any more: the store must be opened anew.
   */
  whyFailed(error: Error): string {
    this.renew();
    try {
      this.#root.get(VERSION_KEY);
    } catch (fatal) {
      const what = `cannot be used any more (${(fatal as Error).message})`;
      throw new Error(`${this.path} ${what}: start again when the disk is well`, { cause: error });
    }
    if (error instanceof DiskFullError) return error.message;
    return `${error.message} (${this.path})`;
  }

  /** Bytes of the pages that rows and their trees take up, free ones in the file not counted. */
  usedBytes(): number {
    const main = this.#root.getStats() as StoreStats;
    let pages = pagesOf(main.free) + pagesOf(main);
    for (const name of TABLES) pages += pagesOf(this.tables[name].getStats() as StoreStats);
    return pages * main.pageSize;
  }

  /** Has pages used again that a process was reading which was ended in the middle of it. */
  forgetDeadReaders(): void {
    this.#root.readerCheck();
  }

  /** Another process reads: no page that it may look at is used anew, for as long as it likes. */
  get isReadElsewhere(): boolean {
    this.forgetDeadReaders();
    const readers = this.#root.readerList().matchAll(/^ *(\d+) \S+ \d+$/gm);
    return [...readers].some(([, pid]) => Number(pid) !== process.pid);
  }

  /** A table whose rows are read in great numbers, of each no more than what is decoded. */
  scan<V>(name: TableName, decode: RowDecoder<V>): Scan<V> {
    return this.scanInPlace(name, (memory, length, key) => decode(memory.subarray(0, length), key));
  }

  /** The same where a Buffer for each row costs too much. */
  scanInPlace<V>(name: TableName, decode: InPlaceDecoder<V>): Scan<V> {
    let last = '';
    const readKey = (bytes: Buffer, start: number, end: number): string => {
      last = latin1Text(bytes, start, end);
      return last;
    };
    const coding = {
      encoder: {
        encode: refuseToWrite,
        decode: (row: Buffer) => decode(row, row.length, last),
      },
      keyEncoder: { writeKey, readKey },
    };
    const table = this.#root.openDB<V, string>({ name, ...coding });
    return {
      range: (range) => table.getRange(range),
      get: (key) => table.get(key),
      getBytes: (key) => {
        const row = table.getBinaryFast(key);
        return row === undefined ? undefined : asLongAsItSays(row);
      },
    };
  }

  /** A table by the texts of its keys, to be written. */
  openByText(name: TableName): TextTable {
    const keyEncoder = { writeKey, readKey: refuseToRead };
    return this.#root.openDB<Buffer, string>({ name, encoding: 'binary', ...{ keyEncoder } });
  }

  /** Writes a consistent copy of the store while it is used. @param path of a file to be made. */
  backup(path: string): Promise<void> {
    return this.#root.backup(path, true);
  }

  /** What is read from here on is what is committed now. */
  renew(): void {
    this.#root.resetReadTxn();
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  #openTable(name: TableName): Table {
    return this.#root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' });
  }

  #refuseNewer(version: number): void {
    const found = this.#root.get(VERSION_KEY)?.[0] ?? 0;
    if (found <= version) return;
    void this.#root.close();
    const what = `is a store of version ${found}, and this program knows ${version}`;
    throw new ConfigError([`${this.path} ${what}: use the surgemq that has written it`]);
  }

  /** What an older program has written becomes what this one writes. */
  #bringUpToDate(migrations: readonly Migration[]): void {
    const version = migrations.length + 1;
    const found = this.#root.get(VERSION_KEY)?.[0];
    if (found === version) return;
    this.transaction(() => {
      // One without a version is new.
      for (const migrate of migrations.slice((found ?? version) - 1)) migrate(this);
      this.#root.putSync(VERSION_KEY, Buffer.from([version]));
    });
  }
}
