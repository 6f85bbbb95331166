/**
 * Checks statements.md (3.1.1) and statements5.md (5.0): they list every normative statement, and
 * the tests that they name exist.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';

/**
 * The source tree: the table and the vectors are not compiled, and the names are looked up in the
 * sources.
 */
const TESTS = new URL('../../../test/', import.meta.url);

/** How many statements each section of appendix B of 3.1.1 has. */
const COUNTS: Readonly<Record<string, number>> = {
  '1.5.3': 3,
  '2.2.2': 2,
  '2.3.1': 7,
  '3.1.0': 2,
  '3.1.2': 24,
  '3.1.3': 11,
  '3.1.4': 5,
  '3.2.0': 1,
  '3.2.2': 6,
  '3.3.1': 12,
  '3.3.2': 3,
  '3.3.4': 1,
  '3.3.5': 2,
  '3.6.1': 1,
  '3.8.1': 1,
  '3.8.3': 4,
  '3.8.4': 6,
  '3.9.3': 2,
  '3.10.1': 1,
  '3.10.3': 2,
  '3.10.4': 6,
  '3.12.4': 1,
  '3.14.1': 1,
  '3.14.4': 3,
  '4.1.0': 2,
  '4.2.0': 1,
  '4.3.1': 1,
  '4.3.2': 2,
  '4.3.3': 2,
  '4.4.0': 1,
  '4.5.0': 2,
  '4.6.0': 6,
  '4.7.1': 3,
  '4.7.2': 1,
  '4.7.3': 4,
  '4.8.0': 2,
  '6.0.0': 4,
};

/** The same of 5.0. Of 2.2.1 it has no first. */
const COUNTS_5: Readonly<Record<string, number>> = {
  '1.5.4': 3,
  '1.5.5': 1,
  '1.5.7': 1,
  '2.1.3': 1,
  '2.2.1': 6,
  '2.2.2': 1,
  '3.1.0': 2,
  '3.1.2': 30,
  '3.1.3': 12,
  '3.1.4': 6,
  '3.2.0': 2,
  '3.2.2': 22,
  '3.3.1': 13,
  '3.3.2': 20,
  '3.3.4': 10,
  '3.4.2': 3,
  '3.5.2': 3,
  '3.6.1': 1,
  '3.6.2': 3,
  '3.7.2': 3,
  '3.8.1': 1,
  '3.8.3': 5,
  '3.8.4': 8,
  '3.9.2': 2,
  '3.9.3': 2,
  '3.10.1': 1,
  '3.10.3': 2,
  '3.10.4': 6,
  '3.11.2': 2,
  '3.11.3': 2,
  '3.12.4': 1,
  '3.14.0': 1,
  '3.14.1': 1,
  '3.14.2': 4,
  '3.14.4': 3,
  '3.15.1': 1,
  '3.15.2': 3,
  '4.1.0': 2,
  '4.2.0': 1,
  '4.3.1': 1,
  '4.3.2': 5,
  '4.3.3': 13,
  '4.4.0': 2,
  '4.5.0': 2,
  '4.6.0': 6,
  '4.7.0': 1,
  '4.7.1': 2,
  '4.7.2': 1,
  '4.7.3': 4,
  '4.8.2': 6,
  '4.9.0': 3,
  '4.12.0': 7,
  '4.12.1': 2,
  '4.13.1': 1,
  '4.13.2': 1,
  '6.0.0': 4,
};
const LEFT_OUT_5 = 'MQTT-2.2.1-1';

/** One statement of the table. */
interface Statement {
  readonly id: string;
  readonly binds: string;
  /** What it says, in one line. */
  readonly says: string;
  /** `file: test name` each. */
  readonly tests: readonly string[];
  /** Why no test can fail; empty when there are tests. */
  readonly reason: string;
}

/** Reads a table. @throws Error for a line that it has no rule for. */
function readStatements(file: string): Statement[] {
  const statements: { -readonly [K in keyof Statement]: Statement[K] }[] = [];
  const text = readFileSync(new URL(`conformance/${file}`, TESTS), 'utf8');
  const [, ...lines] = text.slice(text.indexOf('\n## ')).split('\n');
  for (const line of lines) {
    const heading = /^### (\S+) \((server|client|both)\)$/.exec(line);
    if (heading !== null) {
      statements.push({ id: heading[1], binds: heading[2], says: '', tests: [], reason: '' });
      continue;
    }
    const statement = statements.at(-1);
    if (line === '' || line.startsWith('## ')) continue;
    if (statement === undefined) throw new Error(`outside of a statement: ${line}`);
    if (line.startsWith('- ')) statement.tests = [...statement.tests, line.slice(2)];
    else if (line.startsWith('none: ')) statement.reason = line.slice(6);
    else if (statement.says === '') statement.says = line;
    else throw new Error(`what is this line? ${line}`);
  }
  return statements;
}

/**
 * Names of the tests in a file below `test/`; a name with `${...}` in it counts as it is written.
 */
function testNames(file: string): ReadonlySet<string> {
  const text = readFileSync(new URL(file, TESTS), 'utf8');
  if (file.endsWith('.json')) {
    const vectors: readonly { readonly name: string }[] = JSON.parse(text);
    return new Set(vectors.map(({ name }) => name));
  }
  const names = text.matchAll(/\btest\(\s*(['"`])((?:\\.|(?!\1).)*)\1/gs);
  return new Set(Array.from(names, ([, , name]) => name.replaceAll(/\\(.)/g, '$1')));
}

/** What is wrong with a reference to a test; undefined if nothing is. */
function faultOf(reference: string, namesOf: Map<string, ReadonlySet<string>>): string | undefined {
  const [, file, name] = /^(\S+\.(?:test\.ts|json)): (.+)$/.exec(reference) ?? [];
  if (file === undefined) return `not "file: test name": ${reference}`;
  if (!existsSync(new URL(file, TESTS))) return `no such file: ${file}`;
  const names = namesOf.get(file) ?? testNames(file);
  namesOf.set(file, names);
  return names.has(name) ? undefined : `no such test: ${reference}`;
}

/** A table of the statements of one version. */
interface Table {
  readonly version: string;
  readonly file: string;
  readonly counts: Readonly<Record<string, number>>;
  /** Statements that only a client can break or keep: nothing of it reaches a broker. */
  readonly clientsOwn: ReadonlySet<string>;
}

const TABLES: readonly Table[] = [
  {
    version: '3.1.1',
    file: 'statements.md',
    counts: COUNTS,
    clientsOwn: new Set([
      'MQTT-2.3.1-2',
      'MQTT-2.3.1-3',
      'MQTT-3.1.2-23',
      'MQTT-3.14.4-1',
      'MQTT-4.5.0-2',
    ]),
  },
  {
    version: '5.0',
    file: 'statements5.md',
    counts: COUNTS_5,
    clientsOwn: new Set([
      'MQTT-3.1.2-20',
      'MQTT-3.1.2-21',
      'MQTT-3.2.2-5',
      'MQTT-3.3.2-10',
      'MQTT-3.3.4-8',
      // Seen in windows whose time is made to pass.
      'MQTT-4.3.3-7',
      'MQTT-4.3.3-13',
      'MQTT-4.5.0-2',
    ]),
  },
];

for (const { version, file, counts, clientsOwn } of TABLES) {
  describe(`table of normative statements of ${version}`, () => {
    const statements = readStatements(file);

    test('lists every statement once, in the order of the specification', () => {
      const expected = Object.entries(counts).flatMap(([section, count]) =>
        Array.from({ length: count }, (_, at) => `MQTT-${section}-${at + 1}`),
      );
      // The specification itself writes this one with a hyphen.
      const ids = statements.map(({ id }) => id.replace('MQTT-3-8.3-4', 'MQTT-3.8.3-4'));
      assert.deepEqual(
        ids,
        expected.filter((id) => id !== LEFT_OUT_5),
      );
    });

    test('says of each what it asks for', () => {
      for (const { id, says } of statements) assert.ok(says.length > 15, id);
    });

    test('has tests for each statement, or a reason why there can be none', () => {
      for (const { id, tests, reason } of statements) {
        assert.ok(tests.length > 0 !== reason.length > 0, id);
      }
    });

    test('names only tests that exist', () => {
      const namesOf = new Map<string, ReadonlySet<string>>();
      const faults = statements.flatMap(({ id, tests }) =>
        tests.flatMap((reference) => {
          const fault = faultOf(reference, namesOf);
          return fault === undefined ? [] : [`${id}: ${fault}`];
        }),
      );
      assert.deepEqual(faults, []);
    });

    test('holds the client library to every statement that binds clients', () => {
      const isOfClient = (reference: string) => /^\S*client\S*: /.test(reference);
      for (const { id, binds, tests, reason } of statements) {
        if (binds !== 'server' && reason === '') assert.ok(tests.some(isOfClient), id);
      }
    });

    test('holds the broker to every statement: clients that break theirs are refused', () => {
      const isOfBroker = (reference: string) => /^(vectors|conformance|broker)\//.test(reference);
      for (const { id, tests, reason } of statements) {
        if (clientsOwn.has(id) || reason !== '') continue;
        assert.ok(tests.some(isOfBroker), id);
      }
    });
  });
}

test("README's table of MQTT 5.0 names only tests that exist", () => {
  const readme = readFileSync(new URL('../README.md', TESTS), 'utf8');
  const start = readme.indexOf('\n## MQTT 5.0\n');
  const section = readme.slice(start, readme.indexOf('\n## ', start + 1));
  const rows = [...section.matchAll(/^\| [^|]+ \| `([^`|]+)`: ([^|]+) \|$/gm)];
  assert.equal(rows.length, section.split('\n| ').length - 3, 'rows that name a test');
  assert.ok(rows.length > 20, 'the table is there');
  const namesOf = new Map<string, ReadonlySet<string>>();
  const faults = rows.map(([, file, name]) => faultOf(`${file}: ${name}`, namesOf));
  assert.deepEqual(
    faults.filter((fault) => fault !== undefined),
    [],
  );
});
