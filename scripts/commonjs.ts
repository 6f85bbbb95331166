/**
 * Part of the build: what programs in CommonJS find under `require`. Node loads the ES modules for
 * them; types are another matter, as a declaration file is of the kind that the package.json above
 * it says. So there is a copy of them in a folder of the other kind, beside two files that require
 * the real modules.
 */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const DIST = new URL('../', import.meta.url);
const COMMONJS = new URL('commonjs/', DIST);
/** Entry points of the package, and the way from here to `dist`. */
const ENTRIES = [
  ['src/index.js', '../../'],
  ['src/client/index.js', '../../../'],
] as const;

rmSync(COMMONJS, { recursive: true, force: true });
mkdirSync(COMMONJS);
cpSync(new URL('src', DIST), new URL('src', COMMONJS), {
  recursive: true,
  filter: (path) => !/\.[a-z]+$/.test(path) || path.endsWith('.d.ts'),
});
writeFileSync(new URL('package.json', COMMONJS), '{ "type": "commonjs" }\n');
for (const [entry, toDist] of ENTRIES) {
  const wrapper = `module.exports = require('${toDist}${entry}');\n`;
  writeFileSync(fileURLToPath(new URL(entry, COMMONJS)), wrapper);
}
