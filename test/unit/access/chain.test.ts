/** Authenticators one behind the other, and who is let in when none of them knows the client. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ANONYMOUS, readAdmission, UNASKED } from '../../../src/access/admission.js';
import { AnonymousClients, isLoopback, openListenerFaults } from '../../../src/access/anonymous.js';
import { Chain } from '../../../src/access/chain.js';
import { loadConfig } from '../../../src/base/config.js';
import type { Credentials, Verdict } from '../../../src/base/credentials.js';
import { ADMISSION_RULES_MAX } from '../../../src/base/limits.js';
import type { ListenerConfig } from '../../../src/base/listener-config.js';
import { listenerFor } from '../../../src/base/listeners.js';
import type { ServerOptions } from '../../../src/base/server-options.js';

const NOBODY = {
  ...{ clientId: 'c', username: null, password: null, remoteAddress: '' },
  listener: 'tcp://127.0.0.1:1883',
};
const ADA = { ...NOBODY, username: 'ada', password: Buffer.from('lovelace') };
const ON_LOOPBACK = { listener: 'tcp://127.0.0.1:1883' };
const ON_ALL = { listener: 'tcp://0.0.0.0:1883' };

type Answer = Verdict | Promise<Verdict>;

function chainOf(answers: readonly Answer[], options: ServerOptions = {}): Chain {
  const authenticator = answers.map((_, at) => (at === 0 ? () => true : 'mockFailure'));
  const list = answers.length === 0 ? {} : { authenticator: authenticator.slice(0, 2) };
  const { config } = loadConfig({ ...options, ...list }, {}, {});
  const links = answers.map((answer) => ({ authenticate: () => answer }));
  return new Chain(links, new AnonymousClients(config, listenerOn));
}

/** The listener at a URI, with nothing configured for it. */
function listenerOn(uri: string): ListenerConfig {
  return listenerFor(uri, loadConfig({}, {}, {}).config);
}

async function verdictOf(chain: Chain, credentials: Credentials): Promise<Verdict> {
  return chain.authenticate(credentials);
}

describe('a chain of authenticators', () => {
  test('takes the first answer that is one, at once or later', async () => {
    const admission = { username: 'a', expiresAtMs: null, rules: null };
    for (const first of [true, false, admission]) {
      for (const answer of [first, Promise.resolve(first)]) {
        assert.deepEqual(await verdictOf(chainOf([answer, !first]), ADA), first);
        assert.deepEqual(await verdictOf(chainOf([null, answer, !first]), ADA), first);
        const later = chainOf([Promise.resolve(null), null, answer, !first]);
        assert.deepEqual(await verdictOf(later, ADA), first);
      }
    }
  });

  test('answers at once when its authenticators do', () => {
    assert.equal(chainOf([null, true]).authenticate(ADA), true);
    assert.equal(chainOf([]).authenticate(ADA), UNASKED);
  });

  test('asks nobody any more when its client is gone', async () => {
    let asked = 0;
    const links = [
      { authenticate: () => Promise.resolve(null) },
      { authenticate: () => ++asked > 0 },
    ];
    const { config } = loadConfig({}, {}, {});
    const chain = new Chain(links, new AnonymousClients(config, listenerOn));
    assert.equal(await chain.authenticate({ ...ADA, isOver: true }), null);
    assert.equal(asked, 0);
  });

  test('refuses whom nobody knows, but for who says nothing where that is allowed', async () => {
    for (const from of [ON_LOOPBACK, ON_ALL]) {
      assert.equal(await verdictOf(chainOf([null]), { ...ADA, ...from }), false);
      assert.equal(await verdictOf(chainOf([null]), { ...NOBODY, ...from }), false);
      const allowing = chainOf([null], { allowAnonymous: true });
      assert.equal(await verdictOf(allowing, { ...NOBODY, ...from }), UNASKED);
      assert.equal(await verdictOf(allowing, { ...ADA, ...from }), false);
    }
  });

  test('lets everybody of this machine in as nobody where nothing is configured', async () => {
    for (const who of [ADA, NOBODY]) {
      assert.equal(await verdictOf(chainOf([]), { ...who, ...ON_LOOPBACK }), UNASKED);
      assert.equal(await verdictOf(chainOf([]), { ...who, ...ON_ALL }), false);
      const allowing = chainOf([], { allowAnonymous: true });
      assert.equal(await verdictOf(allowing, { ...who, ...ON_ALL }), UNASKED);
    }
  });

  test('refuses who says nothing before anybody is asked, where that is said', async () => {
    const refusing = chainOf([true], { allowAnonymous: false });
    assert.equal(await verdictOf(refusing, { ...NOBODY, ...ON_LOOPBACK }), false);
    assert.equal(await verdictOf(refusing, { ...ADA, ...ON_LOOPBACK }), true);
    const certificate = { commonName: 'a', alternativeNames: [] };
    assert.equal(await verdictOf(refusing, { ...NOBODY, certificate }), true);
  });
});

describe('an admission', () => {
  const rule = { effect: 'allow', actions: ['read'], filter: 'a' };

  test('is what is one, and nothing else of it', () => {
    const read = readAdmission({ username: 'a', rules: [{ ...rule, more: 1 }], more: () => {} });
    assert.deepEqual(read, { username: 'a', expiresAtMs: null, rules: [rule] });
    assert.deepEqual(readAdmission({ username: null, expiresAtMs: 1 }), {
      ...ANONYMOUS,
      expiresAtMs: 1,
    });
  });

  test('is none without a name, or with times and rules that are none', () => {
    const faulty = [{}, { username: 1 }, { username: 'a'.repeat(65_536) }, [], 'a', null];
    const times = [Number.NaN, Number.POSITIVE_INFINITY, '1'];
    const rules = [
      'a',
      [1],
      [{ ...rule, effect: 'permit' }],
      [{ ...rule, actions: 'read' }],
      [{ ...rule, actions: ['write'] }],
      [{ ...rule, filter: 1 }],
      Array.from({ length: ADMISSION_RULES_MAX + 1 }, () => rule),
    ];
    const all: unknown[] = [
      ...faulty,
      ...times.map((expiresAtMs) => ({ username: 'a', expiresAtMs })),
      ...rules.map((list) => ({ username: 'a', rules: list })),
    ];
    for (const given of all) assert.equal(readAdmission(given), undefined, JSON.stringify(given));
  });
});

describe('a listener that everybody reaches', () => {
  const open = [
    'tcp://:1883',
    'tcp://0.0.0.0:1',
    'tcp://[::]:1',
    'tcp://192.168.0.1:1',
    'tcp://a:1',
  ];
  const local = ['tcp://127.0.0.1:1', 'tcp://[::1]:1', 'tcp://localhost:1', 'unix:///run/mqtt'];

  function faultsOf(options: ServerOptions, uris: readonly string[]): string[] {
    const { config } = loadConfig(options, {}, {});
    const listeners = uris.map((uri) => listenerFor(uri, config));
    return openListenerFaults(config, listeners);
  }

  test('is a fault, in one line each that says what to do, where nobody decides', () => {
    for (const authenticator of ['auto', 'mockSuccess']) {
      const faults = faultsOf({ authenticator }, [...open, ...local]);
      assert.equal(faults.length, open.length);
      for (const fault of faults) assert.match(fault, /^cannot listen on tcp.*SURGEMQ_[^\n]*$/);
    }
  });

  test('is none where somebody decides, or an operator has said who may', () => {
    assert.deepEqual(faultsOf({ authenticator: 'mockFailure' }, open), []);
    assert.deepEqual(faultsOf({ authenticator: () => true }, open), []);
    assert.deepEqual(faultsOf({ allowAnonymous: true }, open), []);
    assert.deepEqual(faultsOf({ allowAnonymous: false }, open), []);
  });

  test('is known by its address, whatever that is called', () => {
    for (const host of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1', 'LocalHost']) {
      assert.equal(isLoopback(host), true, host);
    }
    for (const host of ['', '0.0.0.0', '128.0.0.1', '::', '::ffff:10.0.0.1', 'localhost.de', 'a']) {
      assert.equal(isLoopback(host), false, host);
    }
  });
});
