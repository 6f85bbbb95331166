/**
 * What the directives of a mosquitto.conf mean here: a table from each to what is set, or why that
 * cannot be. Nothing is left out in silence.
 */
import { CONFIG_FILE_SHAPE } from '../base/config-fields.js';
import { SETTINGS } from '../base/limits.js';
import { formatListenUri } from '../base/listen-uri.js';
import type { ListenerKind } from '../base/listener-config.js';
import type { Directive } from './mosquitto-conf.js';

/** A value of the file to be, and which line it comes from. */
interface Said {
  readonly value: unknown;
  readonly from: Directive;
}

/** A listener while its directives are read. */
export class ImportedListener {
  host = '';
  port = 1883;
  path = '';
  isWebSocket = false;
  readonly tls = new Map<string, Said>();
  readonly websocket = new Map<string, Said>();
  readonly own = new Map<string, Said>();
  readonly from: Directive | null;

  constructor(from: Directive | null) {
    this.from = from;
  }

  get hasTls(): boolean {
    return this.tls.has('certificate');
  }

  get uri(): string {
    const plain: ListenerKind = this.isWebSocket ? 'ws' : 'tcp';
    const secure: ListenerKind = this.isWebSocket ? 'wss' : 'tls';
    const kind = this.path !== '' ? 'unix' : this.hasTls ? secure : plain;
    const path = kind === 'unix' ? this.path : this.isWebSocket ? '/mqtt' : '';
    const { host, port } = this;
    return formatListenUri({ kind, host, port, path });
  }
}

/** A directive that has no counterpart. */
export interface Untranslated {
  readonly from: Directive;
  readonly why: string;
}

/** Everything that was translated, and what was not. */
export class Translation {
  readonly settings = new Map<string, Said>();
  readonly listeners: ImportedListener[] = [];
  readonly untranslated: Untranslated[] = [];
  /** The one of `port`. */
  readonly defaultListener = new ImportedListener(null);
  /** The one that directives speak of; before the first `listener` the default one. */
  listener = this.defaultListener;
  isPerListener = false;
  /** A bridge began, to which what follows belongs. */
  isInBridge = false;
  hasDefaultListener = false;

  set(option: string, value: unknown, from: Directive): undefined {
    this.settings.set(option, { value, from });
  }

  leave(from: Directive, why: string): void {
    this.untranslated.push({ from, why });
  }
}

/** Takes a directive; returns why it cannot be, or nothing when it is. */
type Meaning = (to: Translation, value: string, from: Directive) => string | undefined;

const isTrue = (value: string): boolean => value.toLowerCase() === 'true';

/** A number, in which 0 (or -1) means none: then it is the most that can be set, or left out. */
function number(option: string, unlimited: number | null, none = 0): Meaning {
  return (to, value, from) => {
    if (!/^-?\d+$/.test(value)) return 'this is no number';
    const given = Number(value);
    if (given !== none) return to.set(option, given, from);
    if (unlimited !== null) to.set(option, unlimited, from);
    return undefined;
  };
}

/** A number for the listener that the directive stands at. @param unlimited means none. */
function ofListener(option: string, unlimited: number | null): Meaning {
  return (to, value, from) => {
    if (!/^-?\d+$/.test(value)) return 'this is no number';
    const given = Number(value);
    if (given !== unlimited) to.listener.own.set(option, { value: given, from });
    return undefined;
  };
}

function flag(option: string): Meaning {
  return (to, value, from) => to.set(option, isTrue(value), from);
}

function unable(why: string): Meaning {
  return () => why;
}

/** What is so here anyway. */
const asEver: Meaning = () => undefined;

function tlsPath(name: string): Meaning {
  return (to, value, from) => {
    to.listener.tls.set(name, { value, from });
    return undefined;
  };
}

/** A file for all listeners; with per_listener_settings each could have its own there. */
function file(option: string): Meaning {
  return (to, value, from) => {
    if (!Object.hasOwn(CONFIG_FILE_SHAPE.fields, option)) return 'there is nothing of this kind';
    const other = to.settings.get(option)?.value;
    if (other !== undefined && other !== value) {
      return `there is one ${option} for all listeners, and it is ${String(other)}`;
    }
    return to.set(option, value, from);
  };
}

/** Days of `3d`, `2w`, `1m`, `1y`; hours too. */
function expiry(to: Translation, value: string, from: Directive): string | undefined {
  const days: Readonly<Record<string, number>> = { h: 1 / 24, d: 1, w: 7, m: 30, y: 365 };
  const [, count, unit] = /^(\d+)([hdwmy])$/.exec(value) ?? [];
  if (count === undefined) return 'this is no time';
  const most = SETTINGS.sessionExpiryMs.max / 86_400_000;
  const wanted = Number(count) * days[unit];
  const text = unit === 'h' && wanted <= most ? `${count}h` : `${Math.min(wanted, most)}d`;
  to.set('sessionExpiry', text, from);
  to.set('maxSessionExpiry', text, from);
  return wanted > most ? `a session is kept for ${most} days at most` : undefined;
}

const LOG_LEVELS_BY_TYPE: Readonly<Record<string, string>> = {
  none: 'silent',
  error: 'error',
  warning: 'warn',
  notice: 'info',
  information: 'info',
  subscribe: 'debug',
  unsubscribe: 'debug',
  websockets: 'debug',
  debug: 'debug',
  all: 'debug',
};
const LEVEL_ORDER = ['silent', 'error', 'warn', 'info', 'debug'];

/** There may be several: the one that says most counts. */
function logType(to: Translation, value: string, from: Directive): string | undefined {
  const level = LOG_LEVELS_BY_TYPE[value.toLowerCase()];
  if (level === undefined) return 'there are no log lines of this kind';
  const before = LEVEL_ORDER.indexOf(String(to.settings.get('logLevel')?.value ?? 'silent'));
  return to.set('logLevel', LEVEL_ORDER[Math.max(before, LEVEL_ORDER.indexOf(level))], from);
}

function listen(to: Translation, value: string, from: Directive): string | undefined {
  const [port, ...rest] = value.split(/\s+/);
  const where = rest.join(' ');
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) return 'this is no port';
  to.listener = new ImportedListener(from);
  to.listeners.push(to.listener);
  to.listener.port = Number(port);
  if (Number(port) === 0 && where.startsWith('/')) to.listener.path = where;
  else to.listener.host = where;
  return undefined;
}

function socketDomain(to: Translation, value: string): string | undefined {
  if (to.listener.host !== '') return undefined;
  if (value === 'ipv4') to.listener.host = '0.0.0.0';
  else if (value !== 'ipv6') return 'this is no kind of addresses';
  return value === 'ipv6' ? 'a listener at all addresses takes those of IPv4, too' : undefined;
}

const BRIDGES = 'there are no bridges of our own; other brokers may bridge to this one';
const SERVICE = 'leave it to the service manager';
const LOG = 'the log goes to standard output, where the service manager takes it';
const DISK = 'everything is kept in memory';
const CIPHERS = 'ciphers are those that Node offers';
const PSK = 'TLS goes by certificates, not by pre-shared keys';
const PLUGIN = 'plugins are modules here: see Providers in README';

/** Every directive of Mosquitto 2.0 and 2.1 that is not a bridge's. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  listener: listen,
  port: (to, value) => {
    if (!/^\d{1,5}$/.test(value)) return 'this is no port';
    to.hasDefaultListener = true;
    to.defaultListener.port = Number(value);
    return undefined;
  },
  bind_address: (to, value) => {
    to.hasDefaultListener = true;
    to.defaultListener.host = value;
    return undefined;
  },
  bind_interface: unable('listeners are at addresses, not at interfaces'),
  socket_domain: socketDomain,
  protocol: (to, value) => {
    to.listener.isWebSocket = value === 'websockets';
    return value === 'websockets' || value === 'mqtt' ? undefined : 'this is not spoken';
  },
  per_listener_settings: (to, value) => {
    to.isPerListener = isTrue(value);
    return undefined;
  },
  allow_anonymous: (to, value, from) => {
    if (!to.isPerListener) return to.set('allowAnonymous', isTrue(value), from);
    to.listener.own.set('allowAnonymous', { value: isTrue(value), from });
    return undefined;
  },
  password_file: file('passwordFile'),
  acl_file: file('aclFile'),
  cafile: tlsPath('ca'),
  capath: unable('give one file with all roots: cafile'),
  certfile: tlsPath('certificate'),
  keyfile: tlsPath('key'),
  crlfile: tlsPath('crl'),
  require_certificate: (to, value, from) => {
    const choice = isTrue(value) ? 'required' : 'none';
    to.listener.tls.set('clientCertificate', { value: choice, from });
    return undefined;
  },
  use_identity_as_username: (to, value, from) => {
    if (isTrue(value)) to.listener.tls.set('usernameFrom', { value: 'cn', from });
    return undefined;
  },
  use_subject_as_username: (_to, value) =>
    isTrue(value) ? 'the user name is the CN or an alternative name, not the subject' : undefined,
  tls_version: (to, value, from) => {
    const minVersion = /1\.3$/.test(value) ? 'TLSv1.3' : 'TLSv1.2';
    to.listener.tls.set('minVersion', { value: minVersion, from });
    return /1\.[23]$/.test(value) ? undefined : 'TLS 1.2 is the oldest that is spoken';
  },
  max_connections: ofListener('maxConnections', -1),
  max_inflight_messages: number('maxInflight', SETTINGS.maxInflight.max),
  max_inflight_bytes: number('maxInflightBytes', null),
  max_queued_messages: number('maxQueuedMessages', SETTINGS.maxQueuedMessages.max),
  max_queued_bytes: number('maxQueuedBytes', null),
  max_packet_size: number('maxPacketBytes', null),
  message_size_limit: number('maxPayloadBytes', 0),
  max_keepalive: number('maxKeepAlive', 0),
  max_qos: ofListener('maxQos', null),
  max_topic_alias: ofListener('topicAliasMaximum', null),
  memory_limit: file('memoryLimit'),
  persistent_client_expiration: expiry,
  retain_available: flag('retainAvailable'),
  set_tcp_nodelay: asEver,
  connection_messages: (_to, value) =>
    isTrue(value) ? undefined : 'clients that come and go are logged at level info',
  log_type: logType,
  log_dest: (_to, value) => (value === 'stdout' ? undefined : LOG),
  log_facility: unable(LOG),
  log_timestamp: asEver,
  log_timestamp_format: unable(LOG),
  websockets_log_level: unable('there is one level for all of the log'),
  websockets_headers_size: asEver,
  websockets_origin: (to, value, from) => {
    to.listener.websocket.set('origins', { value: value.split(/[\s,]+/), from });
    return undefined;
  },
  http_dir: unable('no files are served'),
  persistence: (_to, value) => (isTrue(value) ? DISK : undefined),
  persistence_file: unable(DISK),
  persistence_location: unable(DISK),
  autosave_interval: unable(DISK),
  autosave_on_changes: unable(DISK),
  user: unable(SERVICE),
  pid_file: unable(SERVICE),
  ciphers: unable(CIPHERS),
  'ciphers_tls1.3': unable(CIPHERS),
  dhparamfile: asEver,
  tls_engine: unable('keys are in files'),
  tls_engine_kpass_sha1: unable('keys are in files'),
  tls_keyform: unable('keys are in files'),
  psk_file: unable(PSK),
  psk_hint: unable(PSK),
  auth_plugin: unable(PLUGIN),
  plugin: unable(PLUGIN),
  global_plugin: unable(PLUGIN),
  plugin_load: unable(PLUGIN),
  allow_zero_length_clientid: (_to, value) =>
    isTrue(value) ? undefined : 'a client without an id of its own is given one',
  auto_id_prefix: unable('ids that are given have no prefix of your own'),
  clientid_prefixes: unable('have an access rule or an authenticator look at client ids'),
  use_username_as_clientid: (_to, value) =>
    isTrue(value) ? 'a client id is what its client says' : undefined,
  check_retain_source: asEver,
  mount_point: unable('topics of a listener have no prefix'),
  queue_qos0_messages: (_to, value) =>
    isTrue(value) ? 'QoS 0 does not wait for clients that are away' : undefined,
  upgrade_outgoing_qos: (_to, value) =>
    isTrue(value) ? 'the QoS of a delivery is the lower one, as MQTT has it' : undefined,
  sys_interval: unable('nothing is published below $SYS'),
  enable_control_api: unable('there is no control API by MQTT'),
  enable_proxy_protocol: unable('say whose word is taken: proxyProtocolFrom, with addresses'),
};

/** What begins so says something to a plugin, or about a bridge. */
const MEANINGS_BY_BEGINNING: readonly (readonly [string, string])[] = [
  ['plugin_', PLUGIN],
  ['auth_opt_', PLUGIN],
  ['auth_plugin_', PLUGIN],
  ['bridge_', BRIDGES],
];

/** Translates all directives of a file. */
export function translate(directives: readonly Directive[]): Translation {
  const to = new Translation();
  // It holds for what stands before it as well.
  const choice = directives.findLast(({ name }) => name === 'per_listener_settings');
  to.isPerListener = choice !== undefined && isTrue(choice.value);
  for (const from of directives) take(to, from);
  const isClosed = to.hasDefaultListener || to.listeners.length > 0;
  if (to.hasDefaultListener || to.listeners.length === 0) addDefault(to);
  if (isClosed && !to.isPerListener && !to.settings.has('allowAnonymous')) {
    const from = { name: 'allow_anonymous', value: 'false', place: "Mosquitto's default" };
    to.set('allowAnonymous', false, from);
  }
  return to;
}

function take(to: Translation, from: Directive): void {
  if (from.name === 'connection') to.isInBridge = true;
  if (from.name === 'listener') to.isInBridge = false;
  if (to.isInBridge) {
    to.leave(from, BRIDGES);
    return;
  }
  const meaning = Object.hasOwn(MEANINGS, from.name) ? MEANINGS[from.name] : undefined;
  const beginning = MEANINGS_BY_BEGINNING.find(([front]) => from.name.startsWith(front));
  const why = meaning?.(to, from.value, from) ?? (meaning ? undefined : beginning?.[1]);
  if (why !== undefined) to.leave(from, why);
  else if (meaning === undefined) to.leave(from, 'Mosquitto knows nothing of this name, either');
}

/**
 * The listener of `port`; where there is no listener at all, that of Mosquitto 2: at this machine
 * alone, and without a user name.
 */
function addDefault(to: Translation): void {
  if (!to.hasDefaultListener) to.defaultListener.host = '127.0.0.1';
  to.listeners.unshift(to.defaultListener);
}

/** The translation as a configuration file, with the lines that it comes from. */
export function importedYaml({ settings, listeners }: Translation, name: string): string {
  const lines = [
    '# yaml-language-server: $schema=./node_modules/surgemq/dist/surgemq.schema.json',
    `# Made of ${name} by surgemq config import. What is not said here is SurgeMQ's default.`,
  ];
  for (const [option, said] of settings) lines.push(entry(option, said));
  if (listeners.length > 0) lines.push('listeners:');
  for (const listener of listeners) {
    const from = listener.from === null ? '' : ` # ${listener.from.place}`;
    lines.push(`  - uri: ${JSON.stringify(listener.uri)}${from}`);
    for (const [option, said] of listener.own) lines.push(`    ${entry(option, said)}`);
    for (const [title, values] of [
      ['tls', listener.hasTls ? listener.tls : new Map<string, Said>()],
      ['websocket', listener.isWebSocket ? listener.websocket : new Map<string, Said>()],
    ] as const) {
      if (values.size > 0) lines.push(`    ${title}:`);
      for (const [option, said] of values) lines.push(`      ${entry(option, said)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** JSON is YAML, whatever the text holds. */
function entry(option: string, { value, from }: Said): string {
  return `${option}: ${JSON.stringify(value)} # ${from.name}, ${from.place}`;
}
