/**
 * Looks at files whether they are others now. It asks for each file's state again and again: that
 * works on every file system, and for files that are replaced as a whole or by a link to others.
 */
import { stat } from 'node:fs/promises';
import { FILE_LOOK_MS } from '../base/limits.js';

/** One for all files of a broker. */
export class FileWatch {
  readonly #onChanged: () => void;
  readonly #intervalMs: number;
  #paths: readonly string[] = [];
  #timer: NodeJS.Timeout | null = null;
  /** State of the files when they were read, or said to have changed. */
  #told = '';
  /** State at the last look. */
  #seen = '';

  /**
   * @param onChanged called when they are others than they were, and have been alike for two looks:
   *   who writes several of them, or a long one, is through with it.
   */
  constructor(onChanged: () => void, intervalMs: number = FILE_LOOK_MS) {
    this.#onChanged = onChanged;
    this.#intervalMs = intervalMs;
  }

  /** Looks at these from now on, and at no others. To be called before they are read. */
  async watch(paths: readonly string[]): Promise<void> {
    this.#paths = paths;
    this.#seen = await stateOf(paths);
    this.#told = this.#seen;
    if (paths.length === 0) {
      this.close();
      return;
    }
    this.#timer ??= setInterval(() => void this.look(), this.#intervalMs);
    this.#timer.unref();
  }

  /** One look. */
  async look(): Promise<void> {
    const state = await stateOf(this.#paths);
    const isStill = state === this.#seen;
    this.#seen = state;
    if (!isStill || state === this.#told) return;
    this.#told = state;
    this.#onChanged();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** What tells files from those that were there before. */
async function stateOf(paths: readonly string[]): Promise<string> {
  const states = paths.map(async (path) => {
    try {
      const { ino, size, mtimeMs } = await stat(path);
      return `${path}:${ino}:${size}:${mtimeMs}`;
    } catch {
      return `${path}:none`;
    }
  });
  return (await Promise.all(states)).join('\n');
}
