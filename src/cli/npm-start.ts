/**
 * The end of an npm that started the broker. `npm start` passes SIGTERM and SIGINT on, and dies of
 * any other signal without a word to the broker, which would serve on with nobody who knows of it.
 */
import { fileURLToPath } from 'node:url';
import { processEnvironment } from '../base/config.js';

/** How often the broker looks whether npm is still there. */
const LOOK_MS = 250;
const PACKAGE_JSON = fileURLToPath(new URL('../../../package.json', import.meta.url));

/**
 * Whether `npm start` of this very package started this process: then npm is its parent, as the
 * script replaces its shell by `exec`. In scripts of other packages the parent may be a shell that
 * ends at once on purpose.
 */
function isStartedByNpm(): boolean {
  const { npm_lifecycle_event: event, npm_package_json: manifest } = processEnvironment();
  return event === 'start' && manifest === PACKAGE_JSON;
}

/** Resolves when the npm that started this process is gone; never for one started otherwise. */
export function npmIsGone(): Promise<void> {
  return new Promise((resolve) => {
    if (!isStartedByNpm()) return;
    const npm = process.ppid;
    const timer = setInterval(() => {
      // An orphan gets another parent.
      if (process.ppid === npm) return;
      clearInterval(timer);
      resolve();
    }, LOOK_MS).unref();
  });
}
