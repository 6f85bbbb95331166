import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBrokerUri } from '../../../src/client/broker-uri.js';
import { Client, ConfigError } from '../../../src/client/index.js';
import { type ClientOptions, resolveOptions } from '../../../src/client/options.js';

/** The faults that options have. */
function faults(uri: string, options: object): readonly string[] {
  try {
    resolveOptions(uri, options);
  } catch (error) {
    assert(error instanceof ConfigError);
    return error.faults;
  }
  return [];
}

test('a URI gives host, port, user name and password', () => {
  const plain = { kind: 'tcp', username: null, password: null, path: '', requestPath: '' };
  assert.deepEqual(parseBrokerUri('mqtt://example.org'), {
    host: 'example.org',
    port: 1883,
    ...plain,
  });
  assert.deepEqual(parseBrokerUri('tcp://127.0.0.1:18'), { host: '127.0.0.1', port: 18, ...plain });
  assert.deepEqual(parseBrokerUri('mqtt://[::1]:1884'), { host: '::1', port: 1884, ...plain });
  assert.deepEqual(parseBrokerUri('mqtt://us%40er:p%3Aw@h:1/a/%2B'), {
    kind: 'tcp',
    host: 'h',
    port: 1,
    username: 'us@er',
    password: 'p:w',
    path: 'a/+',
    requestPath: '',
  });
  for (const [uri, port, requestPath] of [
    ['ws://h', 80, '/mqtt'],
    ['wss://h?t=1', 443, '/mqtt?t=1'],
    ['wss://h/', 443, '/'],
    ['ws://[::1]:8080/a/%2B?b=c', 8080, '/a/%2B?b=c'],
  ] as const) {
    const host = uri.includes('[') ? '::1' : 'h';
    const kind = uri.startsWith('wss') ? 'wss' : 'ws';
    assert.deepEqual(parseBrokerUri(uri), { ...plain, kind, host, port, requestPath });
  }
  for (const scheme of ['mqtts', 'tls', 'ssl']) {
    const address = { ...plain, kind: 'tls', host: 'h', port: 8883 };
    assert.deepEqual(parseBrokerUri(`${scheme}://h`), address);
  }
});

test('what is no URI of a server is refused', () => {
  const bad = [
    '',
    'host',
    'host:1883',
    'mqtt:host',
    'http://h',
    'https://h',
    'mqtt://',
    'mqtt://h:0',
  ];
  for (const uri of [...bad, 'mqtt://h:99999', 'mqtt://h?x=1', 'mqtt://h#x', 'mqtt://%zz@h']) {
    assert.equal(parseBrokerUri(uri), undefined, uri);
  }
});

test('defaults are those of the documentation', () => {
  const settings = resolveOptions('mqtt://h', {});
  assert.match(settings.clientId, /^surgemq-[0-9a-f]{14}$/);
  assert(settings.clientId.length <= 23, 'MQTT 3.1 servers may insist on 23 characters');
  const { host, port, cleanSession, protocolVersion, keepAliveSeconds, reconnectAttempts } =
    settings;
  assert.deepEqual(
    { host, port, cleanSession, protocolVersion, keepAliveSeconds, reconnectAttempts },
    {
      host: 'h',
      port: 1883,
      cleanSession: true,
      protocolVersion: 5,
      keepAliveSeconds: 60,
      reconnectAttempts: Number.POSITIVE_INFINITY,
    },
  );
  assert.notEqual(resolveOptions('mqtt://h', {}).clientId, settings.clientId);
});

test('times are seconds or text, and sizes bytes or text', () => {
  const settings = resolveOptions('mqtt://h', {
    connectTimeout: 0.25,
    ackTimeout: '2s',
    keepAlive: '2m',
    maxPacketBytes: '1MiB',
    reconnect: { minDelay: '10ms', maxDelay: 5, attempts: 3 },
  });
  assert.equal(settings.connectTimeoutMs, 250);
  assert.equal(settings.ackTimeoutMs, 2_000);
  assert.equal(settings.keepAliveSeconds, 120);
  assert.equal(settings.maxPacketBytes, 1_048_576);
  assert.equal(settings.reconnectMinDelayMs, 10);
  assert.equal(settings.reconnectMaxDelayMs, 5_000);
  assert.equal(settings.reconnectAttempts, 3);
});

test('options override the user name and password of the URI', () => {
  const fromUri = resolveOptions('mqtt://u:p@h', {});
  assert.equal(fromUri.username, 'u');
  assert.deepEqual(fromUri.password, Buffer.from('p'));
  const given = resolveOptions('mqtt://u:p@h', { username: 'v', password: Buffer.from([0, 255]) });
  assert.equal(given.username, 'v');
  assert.deepEqual(given.password, Buffer.from([0, 255]));
  assert(!fromUri.uri.includes('p@'), 'the password does not get into messages');
});

test('every fault is told at once, with the name, the value and what is allowed', () => {
  const found = faults('ftp://x', {
    keepAlive: 70_000,
    protocolVersion: 6 as unknown as 5,
    cleanSession: false,
    maxInflight: 0,
    reconnect: { minDelai: 1 },
    keepalive: 3,
    will: { topic: 'a/#', qos: 3 },
  });
  for (const part of [
    /'ftp:\/\/x'.*mqtt:\/\/host:port/,
    /keepAlive is 70000; allowed/,
    /protocolVersion is 6; allowed: 3 \(MQTT 3\.1\), 4 /,
    /cleanSession is false.*clientId/,
    /maxInflight is 0; allowed/,
    /no option reconnect\.minDelai; did you mean minDelay\?/,
    /no option keepalive; did you mean keepAlive\?/,
    /will\.topic is 'a\/#'/,
    /will\.qos is 3/,
  ]) {
    assert(
      found.some((fault) => part.test(fault)),
      `${part} in ${found.join('\n')}`,
    );
  }
  assert.equal(found.length, 9);
});

const unsound: [string, ClientOptions][] = [
  ['a client id with NUL [MQTT-1.5.3-2]', { clientId: 'a\0b' }],
  ['a client id with half a surrogate pair [MQTT-1.5.3-1]', { clientId: 'a\ud800b' }],
  ['a client id over 65,535 bytes', { clientId: 'x'.repeat(65_536) }],
  ['a user name with NUL', { username: '\0' }],
  ['a password without a user name [MQTT-3.1.2-22]', { protocolVersion: 4, password: 'p' }],
  ['a password over 65,535 bytes', { username: 'u', password: 'x'.repeat(65_536) }],
  ['a will payload over 65,535 bytes', { will: { topic: 'a', payload: 'x'.repeat(65_536) } }],
  ['a will topic with half a surrogate pair', { will: { topic: '\udc00' } }],
  ['an empty client id for a kept session [MQTT-3.1.3-8]', { clientId: '', cleanSession: false }],
];
for (const [name, options] of unsound) {
  test(`refused: ${name}`, () => {
    assert.equal(faults('mqtt://h', options).length, 1);
    assert.throws(() => new Client('mqtt://h', options), ConfigError);
  });
}

test('text in any script is a client id', () => {
  assert.equal(resolveOptions('mqtt://h', { clientId: 'größe-😀' }).clientId, 'größe-😀');
});

test('a Unix domain socket has a URI too', () => {
  const { socketPath, uri } = resolveOptions('unix:///run/mqtt%20%231.sock', {});
  assert.equal(socketPath, '/run/mqtt #1.sock');
  assert.equal(uri, 'unix:///run/mqtt #1.sock');
  for (const wrong of ['unix://', 'unix:///', 'unix://host/path', 'unix:///a?b', 'unix:///%']) {
    assert.throws(() => resolveOptions(wrong, {}), ConfigError, wrong);
  }
});

test('a fault about a URI shows no password', () => {
  for (const uri of ['mqtt://me:secret@host:x', 'http://me:secret@host', 'me:secret@host']) {
    assert.throws(
      () => resolveOptions(uri, {}),
      (error) => error instanceof ConfigError && !error.message.includes('secret'),
    );
  }
});
