/** Brokers to compare with: how each is started, and the settings that make it fair. */
import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { processEnvironment } from '../../src/base/config.js';
import { LISTENER_KINDS, type ListenerKind } from '../../src/base/listener-config.js';
import { type BrokerCommand, type BrokerPlace, socketIn } from './broker-process.js';
import { Authority } from './certificates.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const AEDES_PEER = fileURLToPath(new URL('../peers/aedes.js', import.meta.url));

/** A broker that the bench can start. */
interface StartedPeer {
  readonly kind: 'started';
  readonly name: string;
  readonly settings: string;
  readonly how: BrokerCommand;
}

/** A broker that the bench can start, or one that runs. */
export type Peer =
  | StartedPeer
  | {
      readonly kind: 'running';
      readonly name: string;
      readonly settings: string;
      readonly host: string;
      readonly port: number;
      readonly pid: number | null;
    };

function isTls(transport: ListenerKind): boolean {
  return transport === 'tls' || transport === 'wss';
}

function listenUri({ transport, port, folder }: BrokerPlace): string {
  if (transport === 'unix') return `unix://${socketIn(folder)}`;
  return `${transport}://127.0.0.1:${port}`;
}

/** Puts a certificate into the folder. @returns paths of it and of its key. */
function certificateIn({ folder }: BrokerPlace): { cert: string; key: string } {
  const identity = new Authority().issue({ name: 'bench', hosts: ['127.0.0.1'] });
  const paths = { cert: join(folder, 'certificate.pem'), key: join(folder, 'key.pem') };
  writeFileSync(paths.cert, identity.cert);
  writeFileSync(paths.key, identity.key);
  return paths;
}

function certificateSettings(place: BrokerPlace): Record<string, string> {
  const { cert, key } = certificateIn(place);
  return { SURGEMQ_TLS_CERT: cert, SURGEMQ_TLS_KEY: key };
}

/**
 * This package's broker. Its settings are its defaults, so that what is measured is what users get.
 */
export const OURS: StartedPeer = {
  kind: 'started',
  name: 'surgemq',
  settings: 'defaults; workers as said',
  how: {
    transports: LISTENER_KINDS,
    command: () => [process.execPath, MAIN, 'serve'],
    environment: (place) => ({
      SURGEMQ_LISTEN: listenUri(place),
      SURGEMQ_WORKERS: String(place.workers),
      SURGEMQ_LOG_LEVEL: 'warn',
      SURGEMQ_DATA_DIR: join(place.folder, 'data'),
      ...(isTls(place.transport) ? certificateSettings(place) : {}),
    }),
    tellsStats: true,
  },
};

/** No queue has a limit at which messages are lost, Nagle is off. */
const MOSQUITTO_BASE = [
  'allow_anonymous true',
  'log_type error',
  'log_type warning',
  'set_tcp_nodelay true',
  'max_inflight_messages 0',
  'max_queued_messages 0',
  'max_queued_bytes 0',
];

const MOSQUITTO = mosquitto('mosquitto', ['persistence false']);

/** What it has is written to one file, from its beginning to its end, each second. */
const MOSQUITTO_AUTOSAVE = mosquitto('mosquitto-autosave', [
  'persistence true',
  'autosave_interval 1',
]);

function mosquitto(name: string, settings: readonly string[]): Peer {
  const all = [...MOSQUITTO_BASE, ...settings];
  return {
    kind: 'started',
    name,
    settings: all.join('; '),
    how: {
      transports: ['tcp', 'tls'],
      command(place) {
        const file = join(place.folder, 'mosquitto.conf');
        // Started by root it would be somebody else, whose the folder is not.
        const own = [`persistence_location ${place.folder}/`, 'user root'];
        const lines = [`listener ${place.port} 127.0.0.1`, ...all, ...own];
        if (isTls(place.transport)) {
          const { cert, key } = certificateIn(place);
          lines.push(`certfile ${cert}`, `keyfile ${key}`);
        }
        writeFileSync(file, `${lines.join('\n')}\n`);
        return ['mosquitto', '-c', file];
      },
      environment: () => ({ PATH: mosquittoPath() }),
    },
  };
}

/** Room for what suites of durability have waiting, where the defaults have less. */
const ROOM = {
  SURGEMQ_MAX_QUEUED_MESSAGES: '10000000',
  SURGEMQ_MAX_QUEUED_BYTES: '4GiB',
  SURGEMQ_MAX_QUEUED_TOTAL_BYTES: '8GiB',
  SURGEMQ_MAX_RETAINED_MESSAGES: '10000000',
  SURGEMQ_MAX_RETAINED_BYTES: '4GiB',
} as const;

/** This package's broker with settings of its own. */
function oursWith(name: string, added: Readonly<Record<string, string>>): Peer {
  const { how } = OURS;
  return {
    kind: 'started',
    name,
    settings: Object.entries(added)
      .map(([variable, value]) => `${variable}=${value}`)
      .join(' '),
    how: { ...how, environment: (place) => ({ ...how.environment(place), ...added }) },
  };
}

/** Brokers that keep what they acknowledge, each as it does by default. */
export const DURABLE_PEERS: readonly Peer[] = [oursWith('surgemq', ROOM), MOSQUITTO_AUTOSAVE];

/** This package's broker with everything in memory. */
export const OURS_IN_MEMORY = oursWith('surgemq-mem', { SURGEMQ_SESSIONS: 'mem', ...ROOM });

const AEDES: Peer = {
  kind: 'started',
  name: 'aedes',
  settings: 'defaults, over node:net with TCP_NODELAY',
  how: {
    transports: ['tcp'],
    command: ({ port }) => [process.execPath, AEDES_PEER, String(port)],
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
  [OURS, OURS_IN_MEMORY, MOSQUITTO, MOSQUITTO_AUTOSAVE, AEDES].map((peer) => [peer.name, peer]),
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
 * Reads `NAME=COMMAND`. The command is run by a shell that has PORT, WORKERS and FOLDER in its
 * environment, so that any broker can be measured without being known here: FOLDER is empty, and
 * goes with it. @returns undefined when there is no `=`.
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
      transports: ['tcp'],
      command: () => ['sh', '-c', command],
      environment: ({ port, workers, folder }) => ({
        PORT: String(port),
        WORKERS: String(workers),
        FOLDER: folder,
      }),
    },
  };
}

/** Why a peer cannot be measured by a transport; null when nothing is known against it. */
export function unspoken(peer: Peer, transport: ListenerKind): string | null {
  if (peer.kind === 'running' || peer.how.transports.includes(transport)) return null;
  return `${peer.name} is not started here with --transport ${transport}`;
}

/** Why a peer cannot be started here and what to do; null when nothing is known against it. */
export function missing(peer: Peer): string | null {
  if (peer === MOSQUITTO || peer === MOSQUITTO_AUTOSAVE)
    return hasMosquitto() ? null : MOSQUITTO_MISSING;
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
