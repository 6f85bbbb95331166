/** User names from certificates. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CertificateAuthenticator } from '../../../src/access/certificate-authenticator.js';
import { loadConfig } from '../../../src/base/config.js';
import type { ListenerConfig } from '../../../src/base/listener-config.js';
import { listenerOf } from '../../../src/base/listeners.js';

const URI = 'tls://127.0.0.1:8883';
const WHO = { clientId: 'c', username: 'eve', password: null, remoteAddress: '', listener: URI };

function authenticatorBy(usernameFrom: 'cn' | 'san' | null): CertificateAuthenticator {
  const { config } = loadConfig({}, {}, {});
  const address = { kind: 'tls', host: '127.0.0.1', port: 8_883, path: '' } as const;
  const listener = listenerOf(address, config);
  const known: ListenerConfig = { ...listener, tls: { ...listener.tls!, usernameFrom } };
  return new CertificateAuthenticator((uri) => (uri === URI ? known : undefined));
}

test('a certificate’s name is the user, whatever the client calls itself', () => {
  const certificate = { commonName: 'ada', alternativeNames: ['ada.example', 'other.example'] };
  const admission = { expiresAtMs: null, rules: null };
  assert.deepEqual(authenticatorBy('cn').authenticate({ ...WHO, certificate }), {
    ...{ username: 'ada', ...admission },
  });
  assert.deepEqual(authenticatorBy('san').authenticate({ ...WHO, certificate }), {
    ...{ username: 'ada.example', ...admission },
  });
});

test('a certificate without such a name is nobody’s', () => {
  for (const commonName of [null, '']) {
    const certificate = { commonName, alternativeNames: [] };
    assert.equal(authenticatorBy('cn').authenticate({ ...WHO, certificate }), false);
    assert.equal(authenticatorBy('san').authenticate({ ...WHO, certificate }), false);
  }
});

test('a client without a certificate, or where its name says nothing, is left to others', () => {
  const certificate = { commonName: 'ada', alternativeNames: [] };
  assert.equal(authenticatorBy('cn').authenticate(WHO), null);
  assert.equal(authenticatorBy(null).authenticate({ ...WHO, certificate }), null);
  const elsewhere = { ...WHO, certificate, listener: 'tls://127.0.0.1:1' };
  assert.equal(authenticatorBy('cn').authenticate(elsewhere), null);
});
