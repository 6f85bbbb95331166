/**
 * What a configuration file may hold: every setting by its option's name, and what has no name in
 * the environment: listeners with what each has of its own, users, rules.
 */
import type { AccessAction, AccessRule } from './access-rule.js';
import { LISTENER_SETTINGS, ownSettingsOf, USER_SETTINGS } from './client-settings.js';
import type { MappingShape, Shape, ValueShape } from './config-shape.js';
import { OVERLOAD_SETTINGS, PATH_BYTES_MAX, SETTINGS, STRING_BYTES_MAX } from './limits.js';
import { formatListenUri, LISTEN_URI_ALLOWED, parseListenUri } from './listen-uri.js';
import { CLIENT_CERTIFICATE_CHOICES } from './listener-config.js';
import { CONFIG_SETTINGS } from './settings-table.js';
import type { UserConfig } from './user-config.js';
import * as type from './value-type.js';

function value(type: type.ValueType<unknown>, summary: string): ValueShape {
  return { kind: 'value', type, summary };
}

const path = type.text(PATH_BYTES_MAX);
const name = type.text(STRING_BYTES_MAX);

/** A listen URI, kept in its one spelling. */
const listenUri: type.ValueType<string> = {
  allowed: LISTEN_URI_ALLOWED,
  placeholder: 'uri',
  schema: { type: ['string', 'integer'] },
  read(given) {
    const isUri = typeof given === 'string' || typeof given === 'number';
    const address = isUri ? parseListenUri(String(given)) : undefined;
    return address === undefined ? undefined : formatListenUri(address);
  },
  show: (uri) => uri,
};

/** A certificate with its key. */
const certificatePair: MappingShape = {
  kind: 'mapping',
  summary: 'A certificate and its key.',
  fields: {
    certificate: value(path, 'PEM file: the certificate, then those that lead to its root.'),
    key: value(path, 'PEM file: its private key.'),
  },
  required: ['certificate', 'key'],
};

const tls: MappingShape = {
  kind: 'mapping',
  summary: 'TLS of a tls:// or wss:// listener.',
  fields: {
    ...certificatePair.fields,
    certificates: {
      kind: 'list',
      summary: 'Several, by SNI; the first is for clients that name no server.',
      item: certificatePair,
    },
    ca: value(path, 'PEM file: roots that client certificates have to lead to.'),
    crl: value(path, 'PEM file: certificate revocation lists.'),
    clientCertificate: value(
      type.oneOf(CLIENT_CERTIFICATE_CHOICES),
      'Whether clients are asked for a certificate, and turned away without a valid one.',
    ),
    usernameFrom: value(
      type.oneOf(['cn', 'san']),
      'What of a client certificate is the user name: CN, or the first alternative name.',
    ),
    minVersion: value(type.oneOf(['TLSv1.2', 'TLSv1.3']), 'Oldest version that is spoken.'),
  },
};

const websocket: MappingShape = {
  kind: 'mapping',
  summary: 'WebSocket of a ws:// or wss:// listener.',
  fields: {
    origins: value(
      type.listOf(type.text(STRING_BYTES_MAX)),
      'Values of Origin that are let in; without it any.',
    ),
  },
};

/** Settings of which somebody may have values of its own, by their options. */
function ownFields(names: typeof LISTENER_SETTINGS | typeof USER_SETTINGS): Record<string, Shape> {
  return Object.fromEntries(
    names.map((name) => {
      const { option, type, summary } = CONFIG_SETTINGS[name];
      return [option, value(type as type.ValueType<unknown>, summary)];
    }),
  );
}

/** What a listener may have of its own; what is not said is as the settings have it for all. */
const listener: MappingShape = {
  kind: 'mapping',
  summary: 'One listener.',
  fields: {
    uri: value(listenUri, 'Where it listens.'),
    tls,
    websocket,
    proxyProtocolFrom: value(
      type.listOf(type.text(STRING_BYTES_MAX)),
      'Addresses and networks (10.0.0.0/8) that speak the PROXY protocol here.',
    ),
    mode: value(CONFIG_SETTINGS.unixMode.type, 'Permissions of a unix socket.'),
    allowAnonymous: value(type.trueOrFalse(), 'Whether clients without a user name are let in.'),
    maxConnections: value(
      type.wholeNumber(SETTINGS.maxConnections),
      'Connections by this listener at a time; more are closed at once.',
    ),
    ...ownFields(LISTENER_SETTINGS),
  },
  required: ['uri'],
};

const actions: type.ValueType<readonly AccessAction[]> = {
  ...(type.listOf(type.oneOf(['publish', 'read', 'subscribe'])) as type.ValueType<
    readonly AccessAction[]
  >),
  allowed: 'one or more of publish, read and subscribe',
};

/** A Topic Filter, in which `%u` and `%c` are levels like others [MQTT-4.7.1-2, 4.7.1-3]. */
const filter: type.ValueType<string> = {
  ...name,
  allowed: 'a Topic Filter: + is a whole level, # the last one',
  read(given) {
    const filter = name.read(given);
    const levels = filter?.split('/') ?? [];
    const isSound = levels.every((level, at) =>
      level.includes('#') ? level === '#' && at === levels.length - 1 : !/.\+|\+./.test(level),
    );
    return isSound ? filter : undefined;
  },
};

const rule: MappingShape = {
  kind: 'mapping',
  summary: 'An access rule.',
  fields: {
    allow: value(actions, 'What is allowed.'),
    deny: value(actions, 'What is denied.'),
    filter: value(filter, 'Of which topics; %u and %c stand for user name and client id.'),
  },
  required: ['filter'],
  oneOf: ['allow', 'deny'],
};

const user: MappingShape = {
  kind: 'mapping',
  summary: 'A user.',
  fields: {
    name: value(name, 'The user name of CONNECT.'),
    passwordHash: { ...value(name, 'Its password as in a password file.'), isSecret: true },
    password: { ...value(name, 'Its password in clear text.'), isSecret: true },
    rules: { kind: 'list', summary: 'What it may do, in the place of the rules.', item: rule },
    maxConnections: value(
      type.wholeNumber(OVERLOAD_SETTINGS.maxConnectionsPerUser),
      'Connections of this user, in the place of maxConnectionsPerUser; 0 is any number.',
    ),
    ...ownFields(USER_SETTINGS),
  },
  required: ['name'],
};

/** Settings that a file cannot have: its own path. */
const NOT_IN_FILE: readonly string[] = [CONFIG_SETTINGS.configFile.option];

const settings: Record<string, Shape> = Object.fromEntries(
  Object.values(CONFIG_SETTINGS)
    .filter(({ option }) => !NOT_IN_FILE.includes(option))
    .map(({ option, type, summary, default: fallback }) => [
      option,
      value(type as type.ValueType<unknown>, `${summary} Default: ${fallback}.`),
    ]),
);

/** The whole file. */
export const CONFIG_FILE_SHAPE: MappingShape = {
  kind: 'mapping',
  summary: 'Configuration of the SurgeMQ broker.',
  fields: {
    ...settings,
    listeners: {
      kind: 'list',
      summary: 'Where to listen, in the place of listen.',
      item: listener,
    },
    users: { kind: 'list', summary: 'Users beside those of a password file.', item: user },
    rules: { kind: 'list', summary: 'What all users may do.', item: rule },
  },
};

/** A rule as the file has it. */
export interface RuleEntry {
  readonly allow?: readonly AccessAction[];
  readonly deny?: readonly AccessAction[];
  readonly filter: string;
}

/** A user as the file has it. */
export interface UserEntry {
  readonly name: string;
  readonly passwordHash?: string;
  readonly password?: string;
  readonly rules?: readonly RuleEntry[];
  readonly maxConnections?: number;
}

export function ruleOf({ allow, deny, filter }: RuleEntry): AccessRule {
  return deny === undefined
    ? { effect: 'allow', actions: allow ?? [], filter }
    : { effect: 'deny', actions: deny, filter };
}

export function userOf(entry: UserEntry): UserConfig {
  const { name, passwordHash, password, rules, maxConnections } = entry;
  return {
    name,
    passwordHash: passwordHash ?? null,
    password: password ?? null,
    rules: rules?.map(ruleOf) ?? null,
    maxConnections: maxConnections ?? null,
    ownSettings: ownSettingsOf(entry, USER_SETTINGS),
  };
}
