/** Bytes that a broker has on disk. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** `stat` counts in these, whatever the file system's. */
const BLOCK_BYTES = 512;
/** A broker that writes once a second has written when nothing changes for longer. */
const QUIET_MS = 1_500;
const LOOK_AGAIN_MS = 50;

/**
 * Bytes that the files below a folder take on disk. Holes are left out, and so is what is set aside
 * behind the end of a file.
 */
export function diskBytes(folder: string): number {
  let sum = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    try {
      const stats = statSync(join(folder, name));
      if (stats.isFile()) sum += Math.min(stats.size, stats.blocks * BLOCK_BYTES);
    } catch {
      // It is gone since the list was made.
    }
  }
  return sum;
}

/** The same, when nothing has changed there for a while. @returns null for no folder. */
export async function settledDiskBytes(folder: string | null): Promise<number | null> {
  if (folder === null) return null;
  let bytes = diskBytes(folder);
  let changedAt = performance.now();
  while (performance.now() - changedAt < QUIET_MS) {
    await delay(LOOK_AGAIN_MS);
    const now = diskBytes(folder);
    if (now !== bytes) changedAt = performance.now();
    bytes = now;
  }
  return bytes;
}
