/**
 * How long a broker needs from its start until it takes connections, with much in its store, and
 * what memory it has then:
 * `node dist/scripts/store-start.js --retained 1000000 --sessions 100000 --workers 1 --rounds 3`.
 * The store is filled as a shard would, but without clients, in some seconds; each session has a
 * subscription of its own (`--shared` of them the same one). `--folder` keeps it, or takes one that
 * is there. Each round is a start in order, and one of a broker that was killed.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MessageChannel } from 'node:worker_threads';
import { BrokerChild } from '../bench/support/broker-child.js';
import { freePort } from '../bench/support/free-port.js';
import { anonymousBytes, cpuNs, processTree, residentBytes } from '../bench/support/proc.js';
import { encodePublish } from '../src/protocol/publish-frame.js';
import type { SessionRow } from '../src/shard/session-rows.js';
import { Environment, STORE_FILE_NAME } from '../src/store/environment.js';
import { Journal } from '../src/store/journal.js';
import { createStoreWords } from '../src/store/store-words.js';
import { StoreWriter } from '../src/store/store-writer.js';

const MIB = 1024 * 1024;
const RETAINED_QOS1 = 0x33;
/** Changes that are submitted together. */
const BATCH = 5_000;
/** A week. */
const EXPIRY_MS = 604_800_000;
const CLI = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

interface Filling {
  readonly retained: number;
  readonly sessions: number;
  /** Sessions that have a subscription in common with others. */
  readonly shared: number;
  readonly bytes: number;
  readonly workers: number;
}

/** Fills a new store. */
async function fill(folder: string, filling: Filling): Promise<void> {
  const words = createStoreWords();
  const environment = new Environment(folder, 'none');
  const nothing = () => {};
  const options = { environment, words, bytesMax: 0, onFailing: nothing, onFull: nothing };
  const writer = new StoreWriter(options);
  const { port1, port2 } = new MessageChannel();
  let wake = nothing;
  const onDurable = () => wake();
  const journal = new Journal({ port: port2, words, onDurable, onState: nothing });
  writer.attach(port1);
  const settle = async () => {
    journal.submit();
    while (journal.durable < journal.appended) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const payload = Buffer.alloc(filling.bytes, 'x');
  for (let n = 0; n < filling.retained; n++) {
    const topic = `site/${n % 100}/device/${n}/state`;
    journal.retain(topic, encodePublish(topic, payload, RETAINED_QOS1, 1).toString('latin1'));
    if (n % BATCH === 0) await settle();
  }
  for (let n = 0; n < filling.sessions; n++) {
    const row: SessionRow = {
      home: n % filling.workers,
      ...{ expiryMs: EXPIRY_MS, protocolVersion: 4, username: null, rules: null, mayBeSent: 0 },
      ...{ leftAt: Date.now(), next: 0, will: null, willAt: 0 },
    };
    journal.putSession(n + 1, `client-${n}`, row);
    const filter = n < filling.shared ? 'site/all' : `site/${n % 100}/device/${n}/command`;
    journal.putSubscription(n + 1, filter, 1);
    if (n % BATCH === 0) await settle();
  }
  await settle();
  await journal.close();
  await writer.close();
  await environment.close();
}

/** What a start took, in words. */
async function startOnce(child: BrokerChild, what: string): Promise<void> {
  const ms = await child.start();
  const tree = processTree(child.pid!);
  const mib = (bytes: number) => `${Math.round(bytes / MIB)} MiB`;
  const memory = `${mib(anonymousBytes(tree))} of its own, ${mib(residentBytes(tree))} in all`;
  const cpuMs = Math.round(cpuNs(tree) / 1e6);
  process.stdout.write(`${what}: ${Math.round(ms)} ms, CPU ${cpuMs} ms, memory ${memory}\n`);
}

async function main(): Promise<void> {
  const number = (text: string) => ({ type: 'string', default: text }) as const;
  const { values } = parseArgs({
    options: {
      retained: number('1000000'),
      sessions: number('100000'),
      shared: number('0'),
      bytes: number('64'),
      workers: number('1'),
      rounds: number('3'),
      folder: { type: 'string' },
    },
  });
  const folder = values.folder ?? mkdtempSync(join(tmpdir(), 'surgemq-start-'));
  const { workers } = values;
  try {
    if (!existsSync(join(folder, STORE_FILE_NAME))) {
      const from = performance.now();
      const { retained, sessions, shared, bytes } = values;
      await fill(folder, {
        ...{ retained: Number(retained), sessions: Number(sessions), shared: Number(shared) },
        ...{ bytes: Number(bytes), workers: Number(workers) },
      });
      const seconds = ((performance.now() - from) / 1_000).toFixed(1);
      process.stdout.write(`filled in ${seconds} s\n`);
    }
    const port = await freePort();
    const environment = {
      ...{ SURGEMQ_DATA_DIR: folder, SURGEMQ_WORKERS: workers, SURGEMQ_LOG_LEVEL: 'warn' },
      SURGEMQ_LISTEN: `tcp://127.0.0.1:${port}`,
    };
    const command = [process.execPath, CLI, 'serve'];
    const child = new BrokerChild({
      name: 'surgemq',
      host: '127.0.0.1',
      port,
      command,
      environment,
    });
    for (let round = 0; round < Number(values.rounds); round++) {
      await startOnce(child, 'start');
      await child.end('SIGKILL');
      await startOnce(child, 'killed');
      await child.end('SIGTERM');
    }
  } finally {
    if (values.folder === undefined) rmSync(folder, { recursive: true });
  }
}

await main();
