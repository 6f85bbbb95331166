/** What `surgemq store` writes: `backup`, `restore` and `compact`. */
import { chmod, copyFile, link, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from '../base/error-code.js';
import { DataFolder } from '../store/data-folder.js';
import { STORE_FILE_MODE, STORE_FILE_NAME } from '../store/environment.js';
import { StoreSnapshot, storeFileOf } from '../store/store-snapshot.js';
import { UsageError } from './args.js';
import type { StoreAction } from './store.js';
import { isSound } from './store-read.js';

/** Copies the store to a file. */
export async function backup({ folder, file }: StoreAction): Promise<number> {
  if (file === undefined) throw new UsageError(['backup needs the file to be made']);
  if (await exists(file)) throw new UsageError([`${file} is there: a backup replaces nothing`]);
  await copyStore(storeFileOf(folder), file);
  process.stdout.write(`${file}: ${(await stat(file)).size} bytes\n`);
  return 0;
}

/** Puts a backup in the place of the store. */
export async function restore({ folder, file }: StoreAction): Promise<number> {
  if (file === undefined) throw new UsageError(['restore needs the file of a backup']);
  const source = storeFileOf(file);
  const lock = DataFolder.open(folder);
  try {
    if (!(await isSound(source))) return 1;
    const target = join(folder, STORE_FILE_NAME);
    const draft = `${target}.new`;
    await rm(draft, { force: true });
    await copyFile(source, draft);
    // Whoever may read or write the backup: a store is its owner's alone, to do both.
    await chmod(draft, STORE_FILE_MODE);
    await toDisk(draft);
    if (await exists(target)) await keepBeside(target, `${target}.replaced`);
    await replace(draft, target);
  } finally {
    lock.close();
  }
  process.stdout.write(`${file} is in ${folder}\n`);
  return 0;
}

/** Writes the store anew, without what is not used. */
export async function compact({ folder, file }: StoreAction): Promise<number> {
  if (file !== undefined) throw new UsageError([`${file} is no flag of store compact`]);
  const target = storeFileOf(folder);
  const lock = DataFolder.open(folder);
  try {
    const before = (await stat(target)).size;
    const draft = `${target}.new`;
    await rm(draft, { force: true });
    await copyStore(target, draft);
    await replace(draft, target);
    process.stdout.write(`${target}: ${before} bytes, now ${(await stat(target)).size}\n`);
  } finally {
    lock.close();
  }
  return 0;
}

/** Copies one moment of a store, which may be in use. */
async function copyStore(source: string, target: string): Promise<void> {
  const snapshot = new StoreSnapshot(source);
  // Until all of it is there it must not look like a backup.
  const draft = `${target}.part`;
  await rm(draft, { force: true });
  try {
    await snapshot.copyTo(draft);
    await toDisk(draft);
    await replace(draft, target);
  } catch (error) {
    await rm(draft, { force: true });
    throw new UsageError([`${target} cannot be written: ${(error as Error).message}`]);
  } finally {
    await snapshot.close();
  }
}

/** Gives a file a second name. It keeps its own: a broker that finds none begins with nothing. */
async function keepBeside(path: string, other: string): Promise<void> {
  await rm(other, { force: true });
  // Where the file system has no such names there is a moment without.
  await link(path, other).catch(() => rename(path, other));
}

/** Gives a file the name of another, so that this survives a power cut. */
async function replace(draft: string, target: string): Promise<void> {
  await rename(draft, target);
  await toDisk(dirname(target));
}

async function toDisk(path: string): Promise<void> {
  const file = await open(path, 'r');
  await file.sync();
  await file.close();
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    },
  );
}
