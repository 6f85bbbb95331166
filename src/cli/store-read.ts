/** What `surgemq store` only reads: `check` and `dump`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../base/errors.js';
import { STORE_FAULTS_SHOWN } from '../base/limits.js';
import { checkStore, type StoreCounts } from '../store/check-store.js';
import { dumpStore } from '../store/dump-store.js';
import { StoreSnapshot, storeFileOf } from '../store/store-snapshot.js';
import { UsageError } from './args.js';
import type { StoreAction } from './store.js';

/** Says what is wrong with a store. */
export async function check({ folder, file, isInProcess }: StoreAction): Promise<number> {
  const path = storeFileOf(file ?? folder);
  return (await (isInProcess ? printCheck(path) : isSound(path))) ? 0 : 1;
}

/** Prints a store. */
export async function dump({ folder, file }: StoreAction): Promise<number> {
  const snapshot = new StoreSnapshot(file ?? folder);
  try {
    for (const line of dumpStore(snapshot)) {
      if (!process.stdout.write(line)) await once(process.stdout, 'drain');
    }
  } catch (error) {
    throw new UsageError([`${snapshot.path}: ${(error as Error).message} (surgemq store check)`]);
  } finally {
    await snapshot.close();
  }
  return 0;
}

/**
 * Checks a store in a process of its own, and prints what is wrong: LMDB may end the process that
 * reads a file with damaged pages.
 */
export async function isSound(path: string): Promise<boolean> {
  const main = fileURLToPath(new URL('main.js', import.meta.url));
  const args = [main, 'store', 'check', path, '--in-process', '--data-dir', path];
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (signal !== null) {
    process.stderr.write(`surgemq: ${path} is damaged: who reads it ends with ${signal}\n`);
  }
  return code === 0;
}

/**
 * The check itself. @returns whether nothing is wrong.
 * @throws ConfigError when the file cannot be opened, or not be read to its end.
 */
async function printCheck(path: string): Promise<boolean> {
  let faults = 0;
  const onFault = (fault: string) => {
    if (faults++ < STORE_FAULTS_SHOWN) process.stderr.write(`surgemq: ${fault}\n`);
  };
  let counts: StoreCounts;
  try {
    const snapshot = new StoreSnapshot(path);
    counts = checkStore(snapshot, onFault);
    await snapshot.close();
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    // Whatever LMDB meets in a damaged file is a finding, and no fault of this program.
    throw new ConfigError([`${path} is damaged: ${(error as Error).message}`]);
  }
  if (faults > STORE_FAULTS_SHOWN) {
    process.stderr.write(`surgemq: ${faults - STORE_FAULTS_SHOWN} more faults are not shown\n`);
  }
  const what = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
  const verdict = faults === 0 ? 'nothing is wrong' : `${faults} faults: restore a backup`;
  process.stdout.write(`${path}: ${what.join(', ')}: ${verdict}\n`);
  return faults === 0;
}
