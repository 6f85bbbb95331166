/** Brokers to compare with: how each is started, and the settings that make it fair. */
import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { processEnvironment } from '../../src/base/config.js';
import type { BrokerCommand } from './broker-process.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const AEDES_PEER = fileURLToPath(new URL('../peers/aedes.js', import.meta.url));

/** A broker that the bench can start, or one that runs. */
export type Peer =
  | {
      readonly kind: 'started';
      readonly name: string;
      readonly settings: string;
      readonly how: BrokerCommand;
    }
  | {
      readonly kind: 'running';
      readonly name: string;
      readonly settings: string;
      readonly host: string;
      readonly port: number;
      readonly pid: number | null;
    };

/**
 * This package's broker. Its settings are its defaults, so that what is measured is what users get.
 */
export const OURS: Peer = {
  kind: 'started',
  name: 'surgemq',
  settings: 'defaults; workers as said',
  how: {
    command: () => [process.execPath, MAIN, 'serve'],
    environment: (port, workers) => ({
      SURGEMQ_LISTEN: `tcp://127.0.0.1:${port}`,
      SURGEMQ_WORKERS: String(workers),
      SURGEMQ_LOG_LEVEL: 'warn',
    }),
    tellsStats: true,
  },
};

/** Nothing is written to disk, no queue has a limit at which messages are lost, Nagle is off. */
const MOSQUITTO_SETTINGS = [
  'allow_anonymous true',
  'persistence false',
  'log_type error',
  'log_type warning',
  'set_tcp_nodelay true',
  'max_inflight_messages 0',
  'max_queued_messages 0',
  'max_queued_bytes 0',
];

const MOSQUITTO: Peer = {
  kind: 'started',
  name: 'mosquitto',
  settings: MOSQUITTO_SETTINGS.join('; '),
  how: {
    command(port, _workers, folder) {
      const file = join(folder, 'mosquitto.conf');
      writeFileSync(file, [`listener ${port} 127.0.0.1`, ...MOSQUITTO_SETTINGS, ''].join('\n'));
      return ['mosquitto', '-c', file];
    },
    environment: () => ({ PATH: mosquittoPath() }),
  },
};

const AEDES: Peer = {
  kind: 'started',
  name: 'aedes',
  settings: 'defaults, over node:net with TCP_NODELAY',
  how: {
    command: (port) => [process.execPath, AEDES_PEER, String(port)],
    environment: () => ({}),
  },
};

const MOSQUITTO_MISSING =
  "mosquitto is not installed: apt-get install mosquitto, or your system's way";

function hasMosquitto(): boolean {
  return mosquittoPath()
    .split(':')
    .some((folder) => existsSync(join(folder, 'mosquitto')));
}

/** Debian installs the broker where only root's path leads. */
function mosquittoPath(): string {
  return `${processEnvironment().PATH ?? ''}:/usr/local/sbin:/usr/sbin`;
}

/** Peers that go by a name. */
export const NAMED_PEERS: ReadonlyMap<string, Peer> = new Map(
  [OURS, MOSQUITTO, AEDES].map((peer) => [peer.name, peer]),
);

/**
 * Reads what was given to `compare`: the name of a peer or `mqtt://HOST:PORT`, which may end in
 * `?pid=PID` for the figures of its process. @returns undefined when it is neither.
 */
export function parsePeer(word: string): Peer | undefined {
  const named = NAMED_PEERS.get(word);
  if (named !== undefined) return named;
  const uri = /^(?:mqtt|tcp):\/\/(\[[^\]]+\]|[^:/?]+)(?::(\d+))?\/?(?:\?pid=(\d+))?$/.exec(word);
  if (uri === null) return undefined;
  const [, host, port = '1883', pid] = uri;
  return {
    kind: 'running',
    name: `${host}:${port}`,
    settings: 'a running broker',
    host: host.replace(/^\[|\]$/g, ''),
    port: Number(port),
    pid: pid === undefined ? null : Number(pid),
  };
}

/**
 * Reads `NAME=COMMAND`. The command is run by a shell that has PORT and WORKERS in its environment,
 * so that any broker can be measured without being known here. @returns undefined when there is no
 * `=`.
 */
export function parsePeerCommand(text: string): Peer | undefined {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) return undefined;
  const command = text.slice(at + 1);
  return {
    kind: 'started',
    name: text.slice(0, at),
    settings: command,
    how: {
      command: () => ['sh', '-c', command],
      environment: (port, workers) => ({ PORT: String(port), WORKERS: String(workers) }),
    },
  };
}

/** Why a peer cannot be started here and what to do; null when nothing is known against it. */
export function missing(peer: Peer): string | null {
  if (peer === MOSQUITTO) return hasMosquitto() ? null : MOSQUITTO_MISSING;
  if (peer !== AEDES) return null;
  return aedesUrl() === null
    ? 'aedes is not installed: npm install --prefix bench/peers, or npm install --no-save aedes'
    : null;
}

/**
 * Where aedes is: among bench/peers' own packages, this package's, or those of the working folder.
 */
export function aedesUrl(): string | null {
  const from = [
    fileURLToPath(new URL('../../../bench/peers/package.json', import.meta.url)),
    fileURLToPath(import.meta.url),
    join(process.cwd(), 'package.json'),
  ];
  for (const file of from) {
    try {
      return createRequire(file).resolve('aedes');
    } catch {
      // Not there.
    }
  }
  return null;
}
