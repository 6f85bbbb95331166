import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { staleMutations } from '../scripts/mutations.js';
import { deadFiles, findProblems, problemsIn, referencesOf } from '../scripts/tidy.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function problems(path: string, text: string): string[] {
  return problemsIn({ path, text });
}

test('the repository is tidy', () => {
  const problems = findProblems(ROOT);
  assert.equal(problems.length, 0, problems.join('\n'));
});

// A text of scripts/mutations is edited with the code that it stands in.
test('every text that a mutation replaces stands once in its file', () => {
  const stale = staleMutations(ROOT);
  assert.equal(stale.length, 0, stale.join('\n'));
});

test('a file may import its own and lower layers, and no higher one', () => {
  const imports = (target: string) => `import { x } from '${target}';\n`;
  const cases = [
    ['src/topics/a.ts', '../base/b.js', true],
    ['src/topics/a.ts', './b.js', true],
    ['src/topics/a.ts', '../sessions/b.js', false],
    ['src/base/a.ts', '../protocol/b.js', false],
    ['src/shard/a.ts', '../primary/b.js', false],
    ['src/primary/a.ts', '../cli/b.js', false],
    ['src/primary/a.ts', '../client/b.js', false],
    ['src/client/a.ts', '../topics/b.js', true],
    ['src/client/a.ts', '../sessions/b.js', false],
    ['src/cli/a.ts', '../client/b.js', true],
    ['src/index.ts', './client/b.js', true],
    ['src/primary/a.ts', '../index.js', false],
    ['src/cli/bench.ts', '../../bench/b.js', true],
    ['src/shard/a.ts', '../../bench/b.js', false],
    ['src/shard/a.ts', '../../test/b.js', false],
    ['src/unheard/a.ts', '../base/b.js', false],
    ['test/a.test.ts', '../src/primary/b.js', true],
    ['workers/a.ts', '../src/shard/b.js', true],
  ] as const;
  for (const [path, target, isAllowed] of cases) {
    assert.equal(problems(path, imports(target)).length, isAllowed ? 0 : 1, `${path} ${target}`);
  }
});

test('every form of reference between files is seen', () => {
  const text = [
    "import { a } from './a.js';",
    "import type { b } from '../base/b.js';",
    "export * from './c.js';",
    "const d = await import('./d.js');",
    "const e = new URL('../../workers/e.js', import.meta.url);",
    "import './f.js';",
    "import { g } from 'node:fs';",
  ].join('\n');
  assert.deepEqual(referencesOf({ path: 'src/cli/x.ts', text }).sort(), [
    'src/base/b.ts',
    'src/cli/a.ts',
    'src/cli/c.ts',
    'src/cli/d.ts',
    'src/cli/f.ts',
    'workers/e.ts',
  ]);
});

test('what is banned is found on its line, and where it is allowed it is not', () => {
  const environment = `const level = process${'.'}env.LEVEL;`;
  const cases = [
    ['src/base/a.ts', environment, 1],
    ['test/a.test.ts', environment, 1],
    ['src/base/config.ts', environment, 0],
    ['src/base/a.ts', `// ${environment.slice(14)}`, 0],
    ['src/base/a.ts', `console${'.'}log(1);`, 1],
    ['src/cli/a.ts', `console${'.'}log(1);`, 0],
    ['src/base/a.ts', `// ${'TO'}${'DO'}: later`, 1],
    ['test/a.test.ts', `test${'.'}only('x', () => {});`, 1],
    ['test/a.test.ts', `test('x', { skip${':'} true }, () => {});`, 1],
    ['src/base/a.ts', `const a = '/${'home'}/me/x';`, 1],
    ['src/base/a.ts', `const a = './${'work'}/x';`, 0],
    ['src/base/a.ts', `// ${'return'} early;`, 1],
    ['src/base/a.ts', '// return values are counted', 0],
    ['src/base/a.ts', `const a = b as${' '}any;`, 1],
    ['src/base/badName.ts', '', 1],
  ] as const;
  for (const [path, line, count] of cases) {
    assert.equal(problems(path, `${line}\n`).length, count, `${path} ${line}`);
  }
});

test('wide lines, long files and long functions are found', () => {
  const body = (lines: number) => `${'  work();\n'.repeat(lines)}`;
  const cases = [
    [`${'x'.repeat(100)}\n`, 0],
    [`${'x'.repeat(101)}\n`, 1],
    ['x;\n'.repeat(450), 0],
    ['x;\n'.repeat(451), 1],
    [`function f() {\n${body(68)}}\n`, 0],
    [`function f() {\n${body(69)}}\n`, 1],
    [`export async function f(\n  a: number,\n): Promise<void> {\n${body(69)}}\n`, 1],
    [`class A {\n  #f(): void {\n${body(69)}  }\n}\n`, 1],
    [`class A {\n  f(\n    a: number,\n  ): void {\n${body(69)}  }\n}\n`, 1],
    [`const f = (a: number) => {\n${body(69)}};\n`, 1],
    [`const table = {\n${body(100)}};\n`, 0],
    [`if (a(1)) {\n${body(100)}}\n`, 0],
    [`interface A {\n  f(\n    a: number,\n  ): void;\n${body(100)}}\n`, 0],
  ] as const;
  for (const [text, count] of cases) {
    assert.equal(problems('src/base/a.ts', text).length, count, text.slice(0, 60));
  }
  assert.equal(problems('test/a.test.ts', 'x;\n'.repeat(451)).length, 0);
});

test('a file that nothing published reaches is dead, even if a test uses it', () => {
  const files = [
    { path: 'src/index.ts', text: "export * from './base/a.js';" },
    { path: 'src/base/a.ts', text: "new URL('../../workers/w.js', import.meta.url);" },
    { path: 'src/base/dead.ts', text: "import { a } from './a.js';" },
    { path: 'workers/w.ts', text: '' },
    { path: 'test/dead.test.ts', text: "import { d } from '../src/base/dead.js';" },
  ];
  const manifest = '{ "main": "dist/src/index.js" }';
  assert.deepEqual(deadFiles(files, manifest), [
    'src/base/dead.ts: nothing that is published uses it',
  ]);
});

test('a face that is awaited keeps its files alive until it is used', () => {
  const files = [
    { path: 'src/index.ts', text: "export * from './base/a.js';" },
    { path: 'src/base/a.ts', text: '' },
    { path: 'src/base/face.ts', text: "export * from './behind.js';" },
    { path: 'src/base/behind.ts', text: '' },
  ];
  const manifest = '{ "main": "dist/src/index.js" }';
  assert.deepEqual(deadFiles(files, manifest, ['src/base/face.ts']), []);
  assert.deepEqual(deadFiles(files, manifest, ['src/base/a.ts', 'src/base/face.ts']), [
    'src/base/a.ts: in use, awaited no more',
  ]);
});
