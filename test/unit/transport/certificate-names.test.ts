import assert from 'node:assert/strict';
import type { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { namesOf } from '../../../src/transport/certificate-names.js';

function names(subjectAltName: string | undefined, subject: object = {}) {
  const certificate = { subjectAltName, toLegacyObject: () => ({ subject }) };
  return namesOf(certificate as unknown as X509Certificate);
}

test('alternative names are told apart, those of other kinds left out', () => {
  const text =
    'DNS:a.example, email:a@b.c, URI:urn:dev:1, IP Address:1.2.3.4, othername:<unsupported>, DNS:b';
  assert.deepEqual(names(text).alternativeNames, [
    'a.example',
    'a@b.c',
    'urn:dev:1',
    '1.2.3.4',
    'b',
  ]);
  assert.deepEqual(names(undefined).alternativeNames, []);
});

test('a name that looks like two is one', () => {
  const text = 'URI:"urn:a, DNS:admin\\"x", DNS:b';
  assert.deepEqual(names(text).alternativeNames, ['urn:a, DNS:admin"x', 'b']);
  assert.deepEqual(names('DNS:"not ended').alternativeNames, []);
});

test('names with controls, and empty ones, are none', () => {
  assert.deepEqual(names('DNS:"a\\u0000b", DNS:, DNS:c').alternativeNames, ['c']);
  assert.equal(names('', { CN: 'admin\0.example' }).commonName, null);
  assert.equal(names('', { CN: '' }).commonName, null);
  assert.equal(names('', {}).commonName, null);
});

test('of several common names the first counts', () => {
  assert.equal(names('', { CN: ['a', 'b'] }).commonName, 'a');
  assert.equal(names('', { CN: 'dev 1, x' }).commonName, 'dev 1, x');
});
