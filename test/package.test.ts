/** What `npm pack` puts into the tarball, as its users find it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** CommonJS and ESM, with the types of both. */
const PROGRAM = `import { Server, type ServerOptions } from 'surgemq';
import { Client, type ClientOptions } from 'surgemq/client';
const options: ServerOptions = { workers: 1 };
const server: Server = new Server(options);
const limits: ClientOptions = { keepAlive: 10 };
export const all: [Server, typeof Client, ClientOptions] = [server, Client, limits];
`;
/** For browsers: with their types, and none of Node's. */
const BROWSER_PROGRAM = `import { connect, type Message } from 'surgemq/client/browser';
const client = await connect('wss://broker.example', { keepAlive: 10, reconnect: false });
client.on('disconnect', ({ error }) => document.title = String(error));
client.once('message', (message: Message) => {
  const bytes: Uint8Array = message.payload;
  document.body.textContent = message.payload.toString('utf8') + bytes.length;
});
await client.subscribe('a/#', ({ topic }) => topic.length);
await client.publish('a/b', new Uint8Array(3), { qos: 1 });
`;
const COMPILER_OPTIONS = {
  module: 'node16',
  moduleResolution: 'node16',
  target: 'es2022',
  lib: ['es2023', 'esnext.disposable'],
  strict: true,
  noEmit: true,
};

describe('the package', () => {
  let project = '';
  let installed = '';
  let files: string[] = [];

  before(async () => {
    project = mkdtempSync(join(tmpdir(), 'surgemq-package-'));
    installed = join(project, 'node_modules/surgemq');
    // The build of this run: another would write what other tests run.
    const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', project];
    const { stdout } = await run('npm', pack, { cwd: ROOT, maxBuffer: 2 ** 26 });
    const [packed] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[];
    files = packed.files.map(({ path }) => path);
    await run('tar', ['-xf', packed.filename], { cwd: project });
    cpSync(join(project, 'package'), installed, { recursive: true });
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    // Found from where the package lies: as if npm had installed them there.
    assert.ok(Object.keys(dependencies).length > 0);
    symlinkSync(join(ROOT, 'node_modules'), join(installed, 'node_modules'));
    symlinkSync(join(ROOT, 'node_modules/@types'), join(project, 'node_modules/@types'));
    symlinkSync(
      join(ROOT, 'node_modules/undici-types'),
      join(project, 'node_modules/undici-types'),
    );
  });
  after(() => rmSync(project, { recursive: true, force: true }));

  test('has the command, and it runs', async () => {
    const main = join(installed, 'dist/src/cli/main.js');
    const { stdout } = await run(process.execPath, [main, '--version'], { cwd: project });
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  });

  test('is found by import and by require, with the same names', async () => {
    const names = 'Object.keys(all).sort().join()';
    const programs = [
      ['a.cjs', `const all = require('surgemq'); process.stdout.write(${names})`],
      ['a.mjs', `import * as all from 'surgemq'; process.stdout.write(${names})`],
      ['b.cjs', `const all = require('surgemq/client'); process.stdout.write(${names})`],
      ['b.mjs', `import * as all from 'surgemq/client'; process.stdout.write(${names})`],
    ] as const;
    const said: string[] = [];
    for (const [name, text] of programs) {
      writeFileSync(join(project, name), text);
      said.push((await run(process.execPath, [name], { cwd: project })).stdout);
    }
    assert.match(said[0], /\bServer\b/);
    assert.deepEqual([said[0], said[2]], [said[1], said[3]]);
  });

  test('has types for ES modules and for CommonJS', async () => {
    const sources = ['c.mts', 'c.cts'];
    for (const name of sources) writeFileSync(join(project, name), PROGRAM);
    const compilerOptions = { ...COMPILER_OPTIONS, types: ['node'] };
    const config = JSON.stringify({ compilerOptions, files: sources });
    writeFileSync(join(project, 'tsconfig.json'), config);
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const checked = run(process.execPath, [tsc, '-p', '.'], { cwd: project });
    await assert.doesNotReject(checked.catch(({ stdout }) => Promise.reject(new Error(stdout))));
  });

  test('has types for browsers, which need none of Node', async () => {
    writeFileSync(join(project, 'browser.mts'), BROWSER_PROGRAM);
    const lib = [...COMPILER_OPTIONS.lib, 'dom'];
    const compilerOptions = { ...COMPILER_OPTIONS, lib, types: [] };
    const config = JSON.stringify({ compilerOptions, files: ['browser.mts'] });
    writeFileSync(join(project, 'tsconfig.browser.json'), config);
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const checked = run(process.execPath, [tsc, '-p', 'tsconfig.browser.json'], { cwd: project });
    await assert.doesNotReject(checked.catch(({ stdout }) => Promise.reject(new Error(stdout))));
  });

  test('has the sources of its source maps within them', () => {
    const maps = files.filter((path) => path.endsWith('.map'));
    assert.ok(maps.length > 100);
    for (const path of maps) {
      const map = JSON.parse(readFileSync(join(installed, path), 'utf8')) as {
        sources: string[];
        sourcesContent?: string[];
      };
      assert.equal(map.sourcesContent?.length, map.sources.length, path);
    }
  });

  test('has whatever its texts link to', () => {
    for (const name of files.filter((path) => path.endsWith('.md'))) {
      const text = readFileSync(join(installed, name), 'utf8');
      for (const [, link] of text.matchAll(/\]\((?![a-z]+:)([^)#]+)/g)) {
        const path = normalize(join(installed, name, '..', link));
        assert.ok(existsSync(path), `${name} links to ${link}`);
      }
    }
  });
});
