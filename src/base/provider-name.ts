/** Names of providers: one that ships with the broker, or a module of the user's own. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { errorCode } from './error-code.js';
import type { ValueType } from './value-type.js';

/** The URL of a module that exists, as every shard can import it; undefined if there is none. */
function resolveModule(specifier: string): string | undefined {
  if (specifier.startsWith('file:')) {
    return URL.canParse(specifier) && existsSync(fileURLToPath(specifier)) ? specifier : undefined;
  }
  if (/^\.{0,2}\//.test(specifier)) {
    const path = resolve(specifier);
    return existsSync(path) ? pathToFileURL(path).href : undefined;
  }
  try {
    const path = createRequire(join(process.cwd(), 'package.json')).resolve(specifier);
    return path.startsWith('/') ? pathToFileURL(path).href : undefined;
  } catch (error) {
    // A package that offers `import` alone does not resolve for `require`, but it is there.
    if (errorCode(error) !== 'MODULE_NOT_FOUND') return specifier;
    // A file that was named without the `./` in front.
    const path = resolve(specifier);
    return existsSync(path) ? pathToFileURL(path).href : undefined;
  }
}

/** Why there is no such module. */
function whyNoModule(specifier: string): string {
  const isFile = /^(?:\.{0,2}\/|file:)/.test(specifier) || /\.[cm]?js$/.test(specifier);
  if (!isFile) return `there is no package of this name beside ${process.cwd()}`;
  return `there is no file ${specifier.startsWith('file:') ? specifier : resolve(specifier)}`;
}

/**
 * A provider: one of the shipped names, or a module found from the working directory. It is
 * resolved here, once: a name misspelt is a fault at start and not the death of a shard.
 */
export function providerName(shipped: readonly string[]): ValueType<string> {
  const names = shipped.join(', ');
  const allowed = `${names}, or a module: a path, a file: URL or the name of a package`;
  return {
    allowed,
    placeholder: 'provider',
    read(given) {
      if (typeof given !== 'string') return undefined;
      const name = given.trim();
      if (name === '') return undefined;
      return shipped.includes(name) ? name : resolveModule(name);
    },
    why(given) {
      const name = typeof given === 'string' ? given.trim() : '';
      return name === '' ? undefined : `${whyNoModule(name)}; allowed: ${allowed}`;
    },
    show: (value) => value,
  };
}
