/** What `pub`, `sub` and `rr` share: connection flags, error lines and exit codes. */
import { resolve } from 'node:path';
import { CLIENT_SETTINGS, NEVER_EXPIRES } from '../base/limits.js';
import {
  type BrokerAddress,
  formatBrokerUri,
  PORTS,
  parseBrokerUri,
  withoutPassword,
} from '../client/broker-uri.js';
import {
  type ClientOptions,
  ConfigError,
  ConnectFailedError,
  ConnectionLostError,
  ConnectRefusedError,
  type QoS,
} from '../client/index.js';
import { type Flag, type ParsedArgs, splitArgs } from './args.js';
import { type PropertyFlags, takeProperties } from './property-flags.js';
import { asksForTls, readTlsFlags, TLS_FLAGS } from './tls-flags.js';

/**
 * Exit codes of mosquitto_pub and mosquitto_sub; a refused CONNECT exits with its return code, or
 * the reason code of MQTT 5.0.
 */
export const ExitCode = { ok: 0, failed: 1, connectionLost: 7, timedOut: 27 } as const;

/** Protocol names of `-V`. */
const VERSIONS: Readonly<Record<string, 3 | 4 | 5>> = {
  mqttv31: 3,
  31: 3,
  3: 3,
  mqttv311: 4,
  311: 4,
  4: 4,
  mqttv5: 5,
  5: 5,
};

/** CONNACK return codes in Mosquitto's words. */
const REFUSED: Readonly<Record<number, string>> = {
  1: 'unacceptable protocol version',
  2: 'identifier rejected',
  3: 'broker unavailable',
  4: 'bad user name or password',
  5: 'not authorised',
};

const KEEP_ALIVE_DEFAULT = String(CLIENT_SETTINGS.keepAliveSeconds.default);

/** Flags about the connection, the same for both commands. */
export const CONNECTION_FLAGS: readonly Flag[] = [
  { name: 'host', short: 'h', placeholder: 'host', summary: 'Server; default localhost.' },
  {
    name: 'port',
    short: 'p',
    placeholder: 'port',
    summary: 'Its port; default 1883, 8883 with TLS.',
  },
  {
    name: 'bind-address',
    short: 'A',
    placeholder: 'address',
    summary: 'Address of this machine to connect from.',
  },
  { name: 'unix', placeholder: 'path', summary: 'Unix domain socket, instead of host and port.' },
  {
    name: 'url',
    short: 'L',
    placeholder: 'url',
    summary:
      'All at once: mqtt(s)://[username[:password]@]host[:port]/topic; ws(s)://host[:port]/path, ' +
      'whose path is that of the WebSocket; or unix:///path of a socket.',
  },
  ...TLS_FLAGS,
  { name: 'id', short: 'i', placeholder: 'id', summary: 'Client id; default: a random one.' },
  {
    name: 'id-prefix',
    short: 'I',
    placeholder: 'prefix',
    summary: 'Client id made of this and the process id.',
  },
  { name: 'username', short: 'u', placeholder: 'name', summary: 'User name.' },
  { name: 'pw', short: 'P', placeholder: 'password', summary: 'Password.' },
  {
    name: 'disable-clean-session',
    short: 'c',
    summary: 'Keeps the session when the connection ends; needs -i.',
  },
  {
    name: 'keepalive',
    short: 'k',
    placeholder: 'seconds',
    summary: `Keep alive; default ${KEEP_ALIVE_DEFAULT}.`,
  },
  {
    name: 'protocol-version',
    short: 'V',
    placeholder: 'version',
    summary: 'mqttv311 (default of pub and sub), mqttv31 or mqttv5 (of rr); also 311, 31, 5.',
  },
  {
    name: 'property',
    short: 'D',
    placeholder: 'command property value',
    summary:
      'Property of MQTT 5.0, which is spoken then: of connect, publish, subscribe, ' +
      'unsubscribe, will or disconnect, such as -D publish content-type text; a user-property ' +
      'has a name and a value. May be repeated.',
  },
  {
    name: 'session-expiry-interval',
    short: 'x',
    placeholder: 'seconds',
    summary: 'Life of the session after the connection, in MQTT 5.0; -1: it does not end.',
  },
  { name: 'will-topic', placeholder: 'topic', summary: 'Topic of the will.' },
  { name: 'will-payload', placeholder: 'text', summary: 'Its payload; default: none.' },
  { name: 'will-qos', placeholder: 'qos', summary: 'Its QoS; default 0.' },
  { name: 'will-retain', summary: 'The server keeps the will as a retained message.' },
  { name: 'nodelay', summary: 'Small packets wait for nothing: so it is in any case.' },
  { name: 'debug', short: 'd', summary: 'Says what is done, on the standard error.' },
  { name: 'quiet', summary: 'Prints no error messages.' },
  { name: 'help', summary: 'Shows this text.' },
];

/** A command line being read: values by name, and what is wrong. */
export class CommandLine {
  readonly faults: string[];
  /** Of `-D`. */
  readonly properties: PropertyFlags;
  readonly #args: ParsedArgs;

  constructor(flags: readonly Flag[], args: readonly string[]) {
    const { words, properties, faults } = takeProperties(args);
    this.properties = properties;
    // -1 would be taken for a flag.
    this.#args = splitArgs(flags, joinedExpiry(words));
    this.faults = [
      ...faults,
      ...this.#args.faults,
      ...this.#args.positionals.map((word) => `'${word}' belongs to no flag`),
    ];
  }

  has(name: string): boolean {
    return this.#args.values.has(name);
  }

  /** All values of a flag, in order. */
  all(name: string): readonly string[] {
    return this.#args.values.get(name) ?? [];
  }

  /** The value that counts, the last one. */
  text(name: string): string | undefined {
    return this.all(name).at(-1);
  }

  /** A whole number in a range; notes a fault for anything else. */
  number(name: string, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    this.faults.push(`Invalid ${name} given: ${text}; allowed: ${min} to ${max}`);
    return undefined;
  }

  /** A QoS; default 0. */
  qos(name: string): QoS {
    const qos = this.number(name, 0, 2);
    return qos === 1 || qos === 2 ? qos : 0;
  }
}

/** `-x -1` as one word. */
function joinedExpiry(words: readonly string[]): string[] {
  const joined: string[] = [];
  for (const word of words) {
    const before = joined.at(-1);
    if (word === '-1' && (before === '-x' || before === '--session-expiry-interval')) {
      joined[joined.length - 1] = '--session-expiry-interval=-1';
    } else {
      joined.push(word);
    }
  }
  return joined;
}

/** Where to connect, and as whom. */
export interface Target {
  readonly uri: string;
  readonly options: ClientOptions;
  /** Topic of the URL; empty for none. */
  readonly topic: string;
}

/**
 * Reads the connection flags. Faults are noted in `line`.
 * @param defaultVersion protocol level where neither `-V` nor `-D` says another.
 */
export function readTarget(line: CommandLine, defaultVersion: 4 | 5 = 4): Target {
  const url = line.text('url');
  const address = url === undefined ? undefined : parseBrokerUri(url);
  if (url !== undefined && address === undefined) {
    line.faults.push(
      `Invalid URL given: ${withoutPassword(url)}; allowed: ` +
        'mqtt(s)://[user[:password]@]host[:port]/topic, ws(s)://host[:port]/path, ' +
        'unix:///path',
    );
  }
  const host = line.text('host') ?? address?.host ?? 'localhost';
  const { kind, port } = placeOf(line, address);
  const username = line.text('username') ?? address?.username ?? undefined;
  const password = line.text('pw') ?? address?.password ?? undefined;
  const prefix = line.text('id-prefix');
  const clientId = line.text('id') ?? (prefix === undefined ? undefined : prefix + process.pid);
  const isKept = line.has('disable-clean-session');
  if (isKept && clientId === undefined) line.faults.push('-c needs a client id: add -i <id>');
  const protocolVersion = versionOf(line, defaultVersion);
  const { min, max } = CLIENT_SETTINGS.keepAliveSeconds;
  const unix = line.text('unix');
  if (unix !== undefined && ['host', 'port', 'url', 'bind-address'].some((n) => line.has(n))) {
    line.faults.push('--unix stands alone: without -h, -p, -L and -A');
  }
  const path = unix === undefined ? address?.socketPath : resolve(unix);
  const isTls = (kind === 'tls' || kind === 'wss') && path === undefined;
  const requestPath = address?.requestPath ?? '';
  const socketPath = path === undefined ? undefined : encodedPath(path);
  return {
    uri: formatBrokerUri({ kind, host, port, requestPath, socketPath }),
    topic: address?.path ?? '',
    options: {
      clientId,
      cleanSession: !isKept,
      tls: readTlsFlags(line, isTls),
      localAddress: line.text('bind-address'),
      protocolVersion,
      protocolFallback: false,
      ...connectOptions(line, protocolVersion),
      username,
      password,
      keepAlive: line.number('keepalive', min, max),
      will: willOf(line),
    },
  };
}

/** What is spoken, and the port: TLS where a flag, the URL or the port says so. */
function placeOf(
  line: CommandLine,
  address: BrokerAddress | undefined,
): Pick<BrokerAddress, 'kind' | 'port'> {
  const given = line.number('port', 1, 65_535) ?? address?.port;
  const kind = address?.kind ?? 'tcp';
  // An address has its port.
  if (kind !== 'tcp') return { kind, port: given ?? 0 };
  const isTls = asksForTls(line) || given === PORTS.tls;
  return isTls ? { kind: 'tls', port: given ?? PORTS.tls } : { kind, port: given ?? PORTS.tcp };
}

/** The protocol level; `-D` makes it 5. */
function versionOf(line: CommandLine, defaultVersion: 4 | 5): 3 | 4 | 5 {
  const version = line.text('protocol-version');
  const given = version === undefined ? undefined : VERSIONS[version];
  if (version !== undefined && given === undefined) {
    const allowed = 'mqttv311, mqttv31, mqttv5';
    line.faults.push(`Invalid protocol-version given: ${version}; allowed: ${allowed}`);
  }
  const hasProperties = Object.keys(line.properties).length > 0;
  if (hasProperties && given !== undefined && given !== 5) {
    line.faults.push(`-D needs MQTT 5.0: -V mqttv5, not ${version}`);
  }
  return hasProperties ? 5 : (given ?? defaultVersion);
}

/** `-D connect` and `-x`. */
function connectOptions(line: CommandLine, version: 3 | 4 | 5): Partial<ClientOptions> {
  const { maximumPacketSize, authenticationMethod, authenticationData, ...connect } =
    line.properties.connect ?? {};
  if (authenticationData !== undefined && authenticationMethod === undefined) {
    line.faults.push('-D connect authentication-data needs authentication-method');
  }
  const text = line.text('session-expiry-interval');
  if (text !== undefined && version !== 5) line.faults.push('-x needs MQTT 5.0: add -V mqttv5');
  const isNever = text === '-1' || text === '∞';
  const expiry = isNever ? NEVER_EXPIRES : line.number('session-expiry-interval', 0, NEVER_EXPIRES);
  if (version !== 5) return {};
  return {
    properties: {
      ...connect,
      ...(expiry === undefined ? {} : { sessionExpiryInterval: expiry }),
    },
    ...(maximumPacketSize === undefined ? {} : { maxPacketBytes: maximumPacketSize }),
    ...(authenticationMethod === undefined
      ? {}
      : { authentication: { method: authenticationMethod, data: authenticationData } }),
  };
}

/** A path as a URI has it. */
function encodedPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function willOf(line: CommandLine): ClientOptions['will'] {
  const topic = line.text('will-topic');
  const others = ['will-payload', 'will-qos', 'will-retain'].filter((name) => line.has(name));
  if (topic === undefined) {
    for (const name of others) line.faults.push(`--${name} needs --will-topic`);
    if (line.properties.will !== undefined) line.faults.push('-D will needs --will-topic');
    return undefined;
  }
  return {
    topic,
    payload: line.text('will-payload'),
    qos: line.qos('will-qos'),
    retain: line.has('will-retain'),
    properties: line.properties.will,
  };
}

/** Prints what happens, where it is asked for. */
export class Reporter {
  readonly #command: string;
  readonly #isQuiet: boolean;
  readonly #isDebug: boolean;

  constructor(command: string, line: CommandLine) {
    this.#command = command;
    this.#isQuiet = line.has('quiet');
    this.#isDebug = line.has('debug');
  }

  debug(text: string): void {
    if (this.#isDebug) process.stderr.write(`${text}\n`);
  }

  error(text: string): void {
    if (!this.#isQuiet) process.stderr.write(`${text}\n`);
  }

  /** What is wrong with the command line. @returns the exit code. */
  usage(faults: readonly string[]): number {
    for (const fault of faults) this.error(`Error: ${fault}`);
    this.error(`\nUse 'surgemq ${this.#command} --help' to see usage.`);
    return ExitCode.failed;
  }

  /** What went wrong at work. @returns the exit code. @throws what is no error of the library. */
  failure(error: unknown): number {
    if (error instanceof ConfigError) return this.usage(error.faults);
    if (error instanceof ConnectRefusedError) {
      const { returnCode, reasonCode } = error;
      if (reasonCode !== 0) {
        this.error(`Connection error: ${error.message}`);
        return reasonCode;
      }
      const why = REFUSED[returnCode] ?? `unknown reason ${returnCode}`;
      this.error(`Connection error: Connection Refused: ${why}.`);
      return returnCode;
    }
    if (!(error instanceof Error && 'code' in error)) throw error;
    this.error(`Error: ${error.message}`);
    if (error instanceof ConnectFailedError) return ExitCode.failed;
    return error instanceof ConnectionLostError ? ExitCode.connectionLost : ExitCode.failed;
  }
}
