import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatListenUri, parseListenUri } from '../../../src/base/listen-uri.js';

test('host and port are taken from the URI, an empty host means all addresses', () => {
  const cases = [
    ['tcp://127.0.0.1:1883', '127.0.0.1', 1883],
    ['tcp://localhost:0', 'localhost', 0],
    ['tcp://:65535', '', 65_535],
    ['tcp://[::1]:1883', '::1', 1883],
    ['tcp://[fe80::1%eth0]:1883', 'fe80::1%eth0', 1883],
  ] as const;
  for (const [uri, host, port] of cases) {
    const address = { kind: 'tcp', host, port, path: '' } as const;
    assert.deepEqual(parseListenUri(uri), address, uri);
    assert.equal(formatListenUri(address), uri);
  }
  assert.equal(parseListenUri('tcp://host:1/')?.host, 'host');
});

test('the scheme says what is spoken, and the port where there is none', () => {
  const cases = [
    ['mqtt://host', 'tcp', 1883, '', 'tcp://host:1883'],
    ['tls://host:1', 'tls', 1, '', 'tls://host:1'],
    ['mqtts://host', 'tls', 8883, '', 'tls://host:8883'],
    ['ssl://[::1]', 'tls', 8883, '', 'tls://[::1]:8883'],
    ['ws://host', 'ws', 80, '/mqtt', 'ws://host:80/mqtt'],
    ['WSS://host/', 'wss', 443, '/', 'wss://host:443/'],
    ['ws://:9001/a/b', 'ws', 9001, '/a/b', 'ws://:9001/a/b'],
  ] as const;
  for (const [uri, kind, port, path, spelling] of cases) {
    const address = parseListenUri(uri);
    assert.ok(address, uri);
    assert.deepEqual([address.kind, address.port, address.path], [kind, port, path], uri);
    assert.equal(formatListenUri(address), spelling);
  }
});

test('a unix socket has a path, and neither host nor port', () => {
  const path = '/run/surge mqtt/s'.replace(' ', '-');
  for (const uri of [`unix://${path}`, `unix:${path}`]) {
    const address = parseListenUri(uri);
    assert.deepEqual(address, { kind: 'unix', host: '', port: 0, path }, uri);
    assert.equal(formatListenUri(address!), `unix://${path}`);
  }
  assert.equal(parseListenUri(`unix:///${'a'.repeat(106)}`)?.path.length, 107);
  for (const uri of [
    'unix://',
    'unix:///',
    'unix:///a/',
    'unix://relative/path',
    'unix:relative',
    'unix:///a\n',
    'unix:///a b',
    `unix:///${'a'.repeat(107)}`,
  ]) {
    assert.equal(parseListenUri(uri), undefined, uri);
  }
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
    assert.deepEqual(parseListenUri(text), { kind: 'tcp', host, port, path: '' }, text);
  }
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
    'tls://host:1883/path',
    'http://host:80',
    'constructor://host:80',
    'ws://host:80/a?b',
    'ws://host:80/a b',
    'ws://host:80/a\n',
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
