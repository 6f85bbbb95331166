/** A flood as the bench sees it: a process of its own, so that the quiet pair's threads are not. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BenchError } from './bench-error.js';
import type { FloodCommand, FloodCount } from './flood-task.js';

const FLOOD_PROCESS = fileURLToPath(new URL('../../workers/flood.js', import.meta.url));

type FloodReply = { readonly answer: FloodCount } | { readonly error: string };

/** Runs until it is closed; ends with this process at the latest. */
export class FloodProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;
  readonly #gone: Promise<void>;

  constructor() {
    this.#child = fork(FLOOD_PROCESS, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      // A session of its own: where Linux shares the cores out by sessions, that of the quiet pair
      // would wait while this one, which is the same then, has had its share.
      detached: true,
    });
    this.#gone = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    this.#ended = this.#gone.then(() => {
      throw new BenchError('the process of the flood has ended');
    });
    this.#ended.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Has it do something. @throws BenchError when it fails. */
  async command(command: FloodCommand): Promise<FloodCount> {
    const reply = new Promise<FloodReply>((resolve) => {
      this.#child.once('message', (message) => resolve(message as FloodReply));
    });
    this.#child.send(command);
    const outcome = await Promise.race([reply, this.#ended]);
    if ('error' in outcome) throw new BenchError(outcome.error);
    return outcome.answer;
  }

  /** Ends it, and so its connections, at once. */
  async close(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone;
  }
}
