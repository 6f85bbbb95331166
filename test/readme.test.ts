import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { withSettingsTable } from '../scripts/readme-settings.js';
import { CONFIG_SETTINGS } from '../src/base/settings-table.js';
import { ConnectRefusedError, connect, Server } from '../src/index.js';

const ROOT = new URL('../../', import.meta.url);
const README = readFileSync(new URL('README.md', ROOT), 'utf8');
const EXAMPLES = ['server', 'client', 'client-tls', 'authenticator', 'program-authenticator'];

/** Runs a compiled example to its end, with `port` in place of 1883. */
async function runExample(name: string, port: number): Promise<string> {
  const compiled = await readFile(new URL(`./examples/${name}.js`, import.meta.url), 'utf8');
  const copy = fileURLToPath(new URL(`./examples/${name}-${port}.js`, import.meta.url));
  await writeFile(copy, compiled.replaceAll(':1883', `:${port}`));
  try {
    return (await promisify(execFile)(process.execPath, [copy])).stdout;
  } finally {
    await rm(copy);
  }
}

test('the table of settings in the README is the one that the broker reads', () => {
  assert.equal(README, withSettingsTable(README), 'run node dist/scripts/readme-settings.js');
});

test('every setting stands in the README once, with its default', () => {
  for (const { environment, default: fallback } of Object.values(CONFIG_SETTINGS)) {
    const rows = README.split('\n').filter((line) => line.includes(`\`${environment}\``));
    assert.equal(rows.length, 1, environment);
    assert.ok(rows[0].includes(`| \`${fallback}\` |`), rows[0]);
  }
});

test('a README without marks for the table is refused', () => {
  assert.throws(() => withSettingsTable('# README\n'), /no marks/);
});

test("the README's programs are the examples that compile, but for where they import from", () => {
  for (const name of EXAMPLES) {
    const source = readFileSync(new URL(`test/examples/${name}.ts`, ROOT), 'utf8')
      .replace('../../src/index.js', 'surgemq')
      .replace('../../src/client/index.js', 'surgemq/client');
    assert.ok(README.includes(`\`\`\`ts\n${source}\`\`\`\n`), name);
  }
});

test("the README's client gets its own message", async () => {
  await using server = new Server({ workers: 1, sessionsProvider: 'mem' });
  await server.listenAndServe('tcp://127.0.0.1:0');
  assert.equal(await runExample('client', server.addresses[0].port), 'abc/def: a message\n');
});

test("the README's broker starts, publishes and ends", async () => {
  assert.equal(await runExample('server', 0), '');
});

test("the README's program lets in whom it says, and nobody else", async () => {
  const { server } = await import('./examples/program-authenticator.js');
  // What it keeps is kept where it is started.
  process.chdir(mkdtempSync(join(tmpdir(), 'surgemq-readme-')));
  await using running = server;
  await running.listenAndServe('tcp://127.0.0.1:0');
  const { uri } = running.addresses[0];
  const once = { clientId: 'a', username: 'ada', reconnect: false };
  await (await connect(uri, { ...once, password: 'lovelace' })).disconnect();
  for (const options of [
    { ...once, password: 'byron' },
    { ...once, username: 'eve' },
  ]) {
    await assert.rejects(connect(uri, options), ConnectRefusedError);
  }
});

test("the README's authenticator lets in whom it says, and nobody else", async () => {
  const { default: factory } = await import('./examples/authenticator.js');
  const authenticator = await factory();
  const credentials = { clientId: 'a', remoteAddress: '', username: 'ada' };
  const answer = (password: Buffer | null) =>
    authenticator.authenticate({ ...credentials, password });
  assert.equal(answer(Buffer.from('lovelace')), true);
  assert.equal(answer(Buffer.from('byron')), false);
  assert.equal(answer(null), false);
});
