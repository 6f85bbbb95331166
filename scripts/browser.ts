/**
 * Part of the build: the client for browsers, as one file without imports, and its types without
 * Node's. The same modules as for Node, but for those in src/client/browser, which take the place
 * of their namesakes and of Node's modules and globals.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const DIST = fileURLToPath(new URL('..', import.meta.url));
const SOURCES = join(DIST, 'src/client');
const REPLACEMENTS = join(SOURCES, 'browser');
const TARGET = join(DIST, 'browser');
/** Modules with a namesake in src/client/browser. */
const REPLACED = /\/(transports|tls-options|scram-digest)\.js$/;

const replacements: Plugin = {
  name: 'replacements',
  setup({ onResolve }) {
    onResolve({ filter: /^node:/ }, () => ({ path: join(REPLACEMENTS, 'builtins.js') }));
    onResolve({ filter: REPLACED }, ({ path }) => ({ path: replacementOf(path) }));
  },
};

/** The file in place of a module. */
function replacementOf(path: string): string {
  return join(REPLACEMENTS, `${REPLACED.exec(path)?.[1]}.js`);
}

async function bundle(): Promise<void> {
  await build({
    entryPoints: [join(SOURCES, 'index.js')],
    outfile: join(TARGET, 'client.js'),
    bundle: true,
    minify: true,
    sourcemap: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    inject: [join(REPLACEMENTS, 'globals.js')],
    plugins: [replacements],
    logLevel: 'warning',
  });
}

/** Relative modules that a declaration file names. */
const IMPORTS = /(from ')(\.[^']+)(\.js')/g;

/**
 * The declarations of the client, with our Buffer and EventEmitter for Node's: who writes for
 * browsers need not have Node's types.
 */
function copyTypes(): void {
  const toVisit = [join(SOURCES, 'index.js')];
  const seen = new Set<string>();
  for (let path = toVisit.pop(); path !== undefined; path = toVisit.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    const from = dirname(path);
    const to = (target: string): string => {
      const way = relative(from, target);
      return way.startsWith('.') ? way : `./${way}`;
    };
    const resolve = (module: string): string => {
      const isReplaced = REPLACED.test(module) && from !== REPLACEMENTS;
      return isReplaced ? replacementOf(module) : join(from, module);
    };
    const text = readFileSync(path.replace(/\.js$/, '.d.ts'), 'utf8')
      .replace(/^\/\/# sourceMappingURL.*$/m, '')
      .replace(/from 'node:events'/, `from '${to(join(REPLACEMENTS, 'event-emitter.js'))}'`)
      .replace(IMPORTS, (_all, before, module) => `${before}${to(resolve(`${module}.js`))}'`);
    for (const [, , module] of text.matchAll(IMPORTS)) toVisit.push(join(from, `${module}.js`));
    const buffer = join(REPLACEMENTS, 'buffer.js');
    const needsBuffer = /\bBuffer\b/.test(text) && path !== buffer;
    if (needsBuffer) toVisit.push(buffer);
    const whole = needsBuffer ? `import type { Buffer } from '${to(buffer)}';\n${text}` : text;
    if (/'node:|\bNodeJS\./.test(whole)) throw new Error(`${path} has types of Node's`);
    const file = join(TARGET, 'types', relative(join(DIST, 'src'), path));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file.replace(/\.js$/, '.d.ts'), whole);
  }
}

rmSync(TARGET, { recursive: true, force: true });
await bundle();
copyTypes();
