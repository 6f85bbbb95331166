import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { loadConfig } from '../../../src/base/config.js';
import { ConfigError } from '../../../src/base/errors.js';
import { MATERIAL_BYTES_MAX, MATERIAL_FAULTS_MAX } from '../../../src/base/limits.js';
import { type MaterialKind, readMaterials } from '../../../src/primary/materials.js';

const folder = mkdtempSync(join(tmpdir(), 'materials-'));
after(() => rmSync(folder, { recursive: true }));
const { config } = loadConfig({}, {}, {});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** A kind of file in which a line `bad` is a fault. */
function kind(option: string, ...paths: string[]): MaterialKind {
  return {
    option,
    paths: () => paths,
    check: (text) =>
      text.split('\n').flatMap((line, at) => (line === 'bad' ? [`line ${at + 1}: is bad`] : [])),
  };
}

async function faultsOf(
  kinds: readonly MaterialKind[],
  relations: Parameters<typeof readMaterials>[2] = [],
): Promise<readonly string[]> {
  const error = await readMaterials(config, kinds, relations).catch((error) => error);
  assert.ok(error instanceof ConfigError, String(error));
  return error.faults;
}

describe('materials', () => {
  test('are the texts of all files, by their paths', async () => {
    const [a, b] = [file('a', 'one\n'), file('b', 'größer')];
    const materials = await readMaterials(config, [kind('x', a, b), kind('y', a)], []);
    assert.deepEqual(
      [...materials],
      [
        [a, 'one\n'],
        [b, 'größer'],
      ],
    );
  });

  test('every fault of every file is said at once, with option, path and line', async () => {
    const bad = file('bad', 'good\nbad\nbad\n');
    const missing = join(folder, 'none');
    const faults = await faultsOf([kind('users', bad, missing), kind('rules', folder)]);
    assert.deepEqual(faults, [
      `users ${missing}: cannot be read: there is no such file`,
      `rules ${folder}: cannot be read: it is a directory`,
      `users ${bad}: line 2: is bad`,
      `users ${bad}: line 3: is bad`,
    ]);
  });

  test('of many faults of one file some are said, and how many more there are', async () => {
    const bad = file('many', 'bad\n'.repeat(MATERIAL_FAULTS_MAX + 5));
    const faults = await faultsOf([kind('users', bad)]);
    assert.equal(faults.length, MATERIAL_FAULTS_MAX + 1);
    assert.equal(faults.at(-1), `users ${bad}: and 5 more`);
  });

  test('a pipe that nobody writes to, a device and what is no text are refused', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const binary = file('binary', 'a\0b');
    const faults = await faultsOf([kind('users', pipe, '/dev/zero', binary)]);
    assert.deepEqual(faults, [
      `users ${pipe}: cannot be read: it is no file`,
      'users /dev/zero: cannot be read: it is no file',
      `users ${binary}: is no text: it has NUL characters`,
    ]);
  });

  test('a file that is too large is not read', async () => {
    const large = file('large', '');
    truncateSync(large, MATERIAL_BYTES_MAX + 1);
    assert.deepEqual(await faultsOf([kind('users', large)]), [
      `users ${large}: is larger than 64MiB`,
    ]);
  });

  test('what must hold between files is looked at when each is sound', async () => {
    const [a, b] = [file('one', 'x'), file('two', 'y')];
    const pair = [
      (_: unknown, texts: ReadonlyMap<string, string>) =>
        texts.get(a) === texts.get(b) ? [] : ['one and two differ'],
    ];
    assert.deepEqual(await faultsOf([kind('users', a, b)], pair), ['one and two differ']);
  });
});
