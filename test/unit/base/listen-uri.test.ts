import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatListenUri, parseListenUri, whyNotListenUri } from '../../../src/base/listen-uri.js';

test('host and port are taken from the URI, an empty host means all addresses', () => {
  const cases = [
    ['tcp://127.0.0.1:1883', '127.0.0.1', 1883],
    ['tcp://localhost:0', 'localhost', 0],
    ['tcp://:65535', '', 65_535],
    ['tcp://[::1]:1883', '::1', 1883],
    ['tcp://[fe80::1%eth0]:1883', 'fe80::1%eth0', 1883],
  ] as const;
  for (const [uri, host, port] of cases) {
    assert.deepEqual(parseListenUri(uri), { host, port }, uri);
    assert.equal(formatListenUri({ host, port }), uri);
  }
  assert.deepEqual(parseListenUri('tcp://host:1/'), { host: 'host', port: 1 });
});

test('what people type is understood: mqtt, no scheme, a port alone', () => {
  const cases = [
    ['mqtt://host:1884', 'host', 1884],
    ['MQTT://host', 'host', 1883],
    ['tcp://[::1]', '::1', 1883],
    ['127.0.0.1:1884', '127.0.0.1', 1884],
    ['[::1]:1884', '::1', 1884],
    [':1884', '', 1884],
    ['1884', '127.0.0.1', 1884],
  ] as const;
  for (const [text, host, port] of cases) {
    assert.deepEqual(parseListenUri(text), { host, port }, text);
  }
});

test('of what cannot be had yet the fault says so', () => {
  for (const uri of ['mqtts://host:8883', 'wss://host', 'ws://host:80/mqtt', 'ssl://host:1']) {
    assert.equal(parseListenUri(uri), undefined);
    assert.match(String(whyNotListenUri(uri)), /TLS and WebSocket/);
  }
  assert.equal(whyNotListenUri('host'), undefined);
});

test('what is no address is none', () => {
  for (const uri of [
    '',
    'host',
    'tcp://1883',
    'mqtt://',
    '99999',
    '65536',
    '1883\n',
    'tcp://host:',
    'tcp://host:65536',
    'tcp://host:-1',
    'tcp://host:1883/path',
    'tcp://user@host:1883',
    'tcp://::1:1883',
    'tcp://[127.0.0.1]:1883',
    'tcp://[]:1883',
    'tcp://a b:1883',
    'tcp://host:1883\n',
  ]) {
    assert.equal(parseListenUri(uri), undefined, uri);
  }
});
