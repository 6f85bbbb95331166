/** Debian's Chromium without a screen, which runs one page and has it report. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { within } from './waiting.js';

const CHROMIUM = '/usr/bin/chromium';
/** From an empty profile, and on a machine that does much else. */
const DEADLINE_MS = 90_000;

/** Why pages cannot be run here; null where they can. */
export function whyNoChromium(): string | null {
  return existsSync(CHROMIUM) ? null : `Debian's chromium is not here (${CHROMIUM})`;
}

/**
 * Runs a page whose program is `script`, a module; files are there under their names. What it
 * throws is reported too.
 * @param script calls `report(value)` once, with what JSON can say.
 * @param files paths by name, such as `client.js`.
 * @returns what was reported. @throws Error with what the page said of its fault.
 */
export async function runPage(
  script: string,
  files: Readonly<Record<string, string>>,
): Promise<unknown> {
  const profile = await mkdtemp(join(tmpdir(), 'surgemq-chromium-'));
  let report: (text: string) => void = () => {};
  const reported = new Promise<string>((resolve) => {
    report = resolve;
  });
  const page = pageOf(script);
  const server = createServer(async (request, response) => {
    const name = (request.url ?? '').slice(1);
    if (request.method === 'POST') {
      report(Buffer.concat(await request.toArray()).toString());
      response.end();
    } else if (Object.hasOwn(files, name)) {
      response.setHeader('content-type', 'text/javascript; charset=utf-8');
      response.end(await readFile(files[name]));
    } else {
      response.setHeader('content-type', 'text/html');
      response.end(name === '' ? page : '');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  const child = spawn(
    CHROMIUM,
    // Without its sandbox, as root may have none; it loads nothing but our page.
    ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run']
      .concat('--disable-background-networking', '--remote-debugging-port=0')
      .concat(`--user-data-dir=${profile}`, `http://127.0.0.1:${address.port}/`),
    { stdio: 'ignore' },
  );
  const exited = once(child, 'exit');
  try {
    const ended = exited.then(() => Promise.reject(new Error('chromium has ended')));
    const text = await within(Promise.race([reported, ended]), 'the page to report', DEADLINE_MS);
    const { value, fault } = JSON.parse(text) as { value?: unknown; fault?: string };
    if (fault !== undefined) throw new Error(`in the page: ${fault}`);
    return value;
  } finally {
    child.kill();
    await exited;
    server.closeAllConnections();
    server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 10 });
  }
}

function pageOf(script: string): string {
  return `<!doctype html><meta charset="utf-8"><script>
const send = (body) => fetch('/', { method: 'POST', body: JSON.stringify(body) });
const report = (value) => send({ value });
const onFault = (fault) => send({ fault: String(fault?.stack ?? fault) });
addEventListener('error', (event) => onFault(event.error ?? event.message));
addEventListener('unhandledrejection', (event) => onFault(event.reason));
</script><script type="module">${script}</script>`;
}
