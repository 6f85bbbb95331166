import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../../src/base/config.js';
import { ConfigError } from '../../../src/base/errors.js';
import { listenerAt } from '../../support/listeners.js';

const TLS = { tlsCert: 'a.pem', tlsKey: 'a.key' };

function faultOf(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return '';
}

test('each address of `listen` is a listener, with what the settings say of its kind', () => {
  const listen = 'tcp://:1883,tls://:8883,unix:///run/mqtt';
  const { config } = loadConfig({ listen, unixMode: '600', ...TLS }, {}, {});
  const kinds = config.listeners.map(({ kind, mode, tls }) => [kind, mode, tls !== null]);
  assert.deepEqual(kinds, [
    ['tcp', 0, false],
    ['tls', 0, true],
    ['unix', 0o600, false],
  ]);
  assert.deepEqual(config.listeners[1].tls, {
    certificates: [{ certificate: 'a.pem', key: 'a.key' }],
    ca: null,
    crl: null,
    clientCertificate: 'none',
    usernameFrom: null,
    minVersion: 'TLSv1.2',
  });
  assert.ok(Object.isFrozen(config.listeners[1].tls));
});

test('several certificates go with as many keys, in their order', () => {
  const { tls } = listenerAt('tls://h', { tlsCert: ['a', 'b'], tlsKey: 'c,d' });
  assert.deepEqual(tls?.certificates, [
    { certificate: 'a', key: 'c' },
    { certificate: 'b', key: 'd' },
  ]);
  const fault = faultOf(() => listenerAt('tls://h', { tlsCert: 'a,b', tlsKey: 'c' }));
  assert.match(fault, /^cannot listen on tls:\/\/h:8883: tlsCert and tlsKey must name as many/);
});

test('a listener that lacks what its kind needs is a fault that says what to set', () => {
  const listen = 'tls://:8883';
  assert.match(
    faultOf(() => loadConfig({ listen }, {}, {})),
    /tls:\/\/:8883: TLS needs a certificate and its key: set tlsCert and tlsKey/,
  );
  assert.match(
    faultOf(() => loadConfig({ listen, ...TLS, tlsClientCert: 'required' }, {}, {})),
    /client certificates need the root that they lead to: set tlsCa/,
  );
  assert.equal(
    faultOf(() => loadConfig({ listen: ':1883', tlsClientCert: 'required' }, {}, {})),
    '',
  );
  assert.match(
    faultOf(() => listenerAt('nonsense')),
    /^cannot listen on nonsense: it must be tcp:/,
  );
});

test('permissions are octal, and none are made up', () => {
  for (const [given, mode] of [
    ['660', 0o660],
    ['0600', 0o600],
    [0o666, 0o666],
  ] as const) {
    assert.equal(loadConfig({ unixMode: given }, {}, {}).config.unixMode, mode);
  }
  for (const given of ['888', '66', '10660', 660, -1, 0.5, 'rw']) {
    assert.match(
      faultOf(() => loadConfig({ unixMode: given }, {}, {})),
      /unixMode/,
    );
  }
});
