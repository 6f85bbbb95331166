import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { processEnvironment } from '../../../src/base/config.js';
import { CONFIG_SETTINGS } from '../../../src/base/settings-table.js';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const MANIFEST = new URL('../../../../package.json', import.meta.url);

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the command line to its end, with no settings in its environment but these. */
function surgemq(args: readonly string[], settings: Record<string, string> = {}): Promise<Outcome> {
  const inherited = Object.entries(processEnvironment()).filter(
    ([name]) => !name.startsWith('SURGEMQ_'),
  );
  const env = { ...Object.fromEntries(inherited), ...settings };
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, ...args], { env });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

test('--help lists the commands; so does no argument at all', async () => {
  const [help, nothing] = await Promise.all([surgemq(['--help']), surgemq([])]);
  assert.deepEqual(help, nothing);
  assert.equal(help.code, 0);
  assert.equal(help.err, '');
  for (const command of ['serve', 'pub', 'sub', 'rr', 'passwd', 'bench']) {
    assert.match(help.out, new RegExp(`^  ${command} `, 'm'));
  }
});

test('-h and help are --help; help with a command is the help of that command', async () => {
  const [help, letter, word, about, serve] = await Promise.all([
    surgemq(['--help']),
    surgemq(['-h']),
    surgemq(['help']),
    surgemq(['help', 'serve']),
    surgemq(['serve', '--help']),
  ]);
  assert.deepEqual([letter, word], [help, help]);
  assert.deepEqual(about, serve);
  assert.match(about.out, /^Usage: surgemq serve /);
});

test('--version, -v and version say the version of the package', async () => {
  const { version } = JSON.parse(readFileSync(MANIFEST, 'utf8')) as { version: string };
  for (const word of ['--version', '-v', 'version']) {
    assert.deepEqual(await surgemq([word]), { code: 0, out: `${version}\n`, err: '' });
  }
});

test('an unknown command is one line and exit code 1', async () => {
  assert.deepEqual(await surgemq(['serv']), {
    code: 1,
    out: '',
    err: 'surgemq: serv is no command; did you mean serve?\n',
  });
  assert.equal((await surgemq(['toString'])).code, 1);
});

test('serve --help has every setting with flag, environment name and default', async () => {
  const { code, out } = await surgemq(['serve', '--help']);
  assert.equal(code, 0);
  const text = out.replace(/\s+/g, ' ');
  for (const { flag, environment, default: fallback } of Object.values(CONFIG_SETTINGS)) {
    assert.match(text, new RegExp(`--${flag}[ ,]`));
    assert.ok(text.includes(`[${environment}, default ${fallback}]`), environment);
  }
});

test('serve says a line for every fault of flags and environment, and no stack', async () => {
  const settings = { SURGEMQ_WORKERS: 'many' };
  const args = ['serve', '--listne', 'x', '--max-inflight', '0', '--ring-bytes'];
  const { code, out, err } = await surgemq(args, settings);
  assert.equal(code, 1);
  assert.equal(out, '');
  assert.deepEqual(err.split('\n'), [
    'surgemq: --listne is no flag; did you mean --listen?',
    'surgemq: --ring-bytes needs a value: <bytes>',
    'surgemq: x is no flag of serve',
    'surgemq: SURGEMQ_WORKERS is "many"; allowed: auto, or a whole number from 1 to 32',
    'surgemq: --max-inflight is "0"; allowed: a whole number from 1 to 65,535',
    '',
  ]);
});

test('a port in use is one line that says which, and exit code 1', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => holder.once('listening', resolve));
  const { port } = holder.address() as AddressInfo;
  const { code, err } = await surgemq([
    ...['serve', '--sessions', 'mem'],
    ...['--listen', `tcp://127.0.0.1:${port}`],
  ]);
  holder.close();
  assert.equal(code, 1);
  assert.match(err, new RegExp(`^surgemq: .*127\\.0\\.0\\.1:${port}\\b.*EADDRINUSE.*\n$`));
});
