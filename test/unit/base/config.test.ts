import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { createAuthenticator } from '../../../src/access/authenticator.js';
import { loadConfig } from '../../../src/base/config.js';
import { PROGRAM_AUTHENTICATOR } from '../../../src/base/credentials.js';
import { ConfigError } from '../../../src/base/errors.js';
import { SETTINGS, SHARDS_MAX } from '../../../src/base/limits.js';
import type { ServerOptions } from '../../../src/base/server-options.js';
import { CONFIG_SETTINGS } from '../../../src/base/settings-table.js';
import { createSessionStore } from '../../../src/sessions/session-store.js';
import { createTopicsProvider } from '../../../src/topics/provider.js';

type Flags = Record<string, string>;

function faultsOf(options: object, flags: Flags, environment: Flags): readonly string[] {
  try {
    loadConfig(options, flags, environment);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.faults;
  }
  return [];
}

test('without any setting the defaults of limits.ts hold', () => {
  const { config, warnings } = loadConfig({}, {}, {});
  assert.deepEqual(warnings, []);
  assert.deepEqual(config.listen, ['tcp://127.0.0.1:1883']);
  assert.equal(config.workers, Math.min(availableParallelism(), SHARDS_MAX));
  assert.deepEqual(config.auth, ['auto']);
  assert.equal(config.allowAnonymous, null);
  assert.equal(config.closeUnresponsive, false);
  assert.equal(config.coalesceReads, true);
  for (const [name, setting] of Object.entries(SETTINGS)) {
    assert.equal(Reflect.get(config, name), setting.default, name);
  }
});

test('every setting has an environment name, a flag, an option and a sentence', () => {
  const settings = Object.values(CONFIG_SETTINGS);
  for (const key of ['environment', 'flag', 'option'] as const) {
    assert.equal(new Set(settings.map((setting) => setting[key])).size, settings.length, key);
  }
  for (const { environment, flag, summary } of settings) {
    assert.match(environment, /^SURGEMQ_[A-Z_]+$/);
    assert.equal(flag, environment.slice('SURGEMQ_'.length).toLowerCase().replaceAll('_', '-'));
    assert.match(summary, /^[A-Z].*\.$/);
  }
});

test('options win over flags, flags over the environment, and that over defaults', () => {
  const environment = { SURGEMQ_MAX_INFLIGHT: '1', SURGEMQ_TIMEOUT_RETRIES: '1' };
  const flags = { 'max-inflight': '2', 'timeout-retries': '2' };
  assert.equal(loadConfig({}, {}, environment).config.maxInflight, 1);
  assert.equal(loadConfig({}, flags, environment).config.maxInflight, 2);
  const all = loadConfig({ maxInflight: 3 }, flags, environment).config;
  assert.equal(all.maxInflight, 3);
  assert.equal(all.timeoutRetries, 2);
});

test('all faults are reported at once: the name used, the value, what is allowed', () => {
  const faults = faultsOf(
    { maxInflight: -1 },
    { 'max-packet-bytes': '1TB' },
    { SURGEMQ_WORKERS: '0', SURGEMQ_LISTEN: 'tcp://:70000' },
  );
  assert.equal(faults.length, 4);
  const expected = [
    /^SURGEMQ_LISTEN is "tcp:\/\/:70000"; allowed: .*tcp:\/\/host:port/,
    /^SURGEMQ_WORKERS is "0"; allowed: auto, or a whole number from 1 to 32$/,
    /^--max-packet-bytes is "1TB"; allowed: bytes, .* from 128 to 268435455$/,
    /^option maxInflight is -1; allowed: a whole number from 1 to 65,535$/,
  ];
  for (const line of expected) {
    assert.ok(
      faults.some((fault) => line.test(fault)),
      `${line} in ${faults.join('\n')}`,
    );
  }
});

test('a value that is not allowed is a fault even where a stronger source overrides it', () => {
  assert.equal(faultsOf({ maxInflight: 10 }, {}, { SURGEMQ_MAX_INFLIGHT: 'ten' }).length, 1);
});

test('an empty name in the environment is as good as none', () => {
  const { config } = loadConfig({}, {}, { SURGEMQ_WORKERS: '', SURGEMQ_LISTEN: ' ' });
  assert.deepEqual(config, loadConfig({}, {}, {}).config);
});

test('an unknown SURGEMQ_ name is a warning with the nearest known one', () => {
  const { warnings } = loadConfig(
    {},
    {},
    { SURGEMQ_WORKER: '2', SURGEMQ_LOGLEVEL: '1', OTHER: '1' },
  );
  assert.deepEqual(warnings, [
    'SURGEMQ_WORKER is no setting and has no effect; did you mean SURGEMQ_WORKERS?',
    'SURGEMQ_LOGLEVEL is no setting and has no effect; did you mean SURGEMQ_LOG_LEVEL?',
  ]);
});

test('the names of the bench suites and the logger of an embedded server get no warning', () => {
  const options = { logger: {} } as ServerOptions;
  assert.deepEqual(loadConfig(options, {}, { SURGEMQ_BENCH_CLIENTS: '1' }).warnings, []);
});

test('an unknown option of the library is a TypeError with the nearest known one', () => {
  const options = { keepalive: 1, colour: 'red' } as ServerOptions;
  assert.throws(() => loadConfig(options, {}, {}), {
    name: 'ArgumentError',
    message: 'there is no option keepalive; did you mean keepAlive?; there is no option colour',
  });
  assert.throws(() => loadConfig(options, {}, {}), TypeError);
});

test('a module that is missing is called that: the file, or the package', () => {
  const [file] = faultsOf({}, { auth: './no-such-file.js' }, {});
  assert.match(file, /^--auth is "\.\/no-such-file\.js"; there is no file \/.*no-such-file\.js; /);
  const [bare] = faultsOf({}, { auth: 'no-such-file.mjs' }, {});
  assert.match(bare, /there is no file \/.*no-such-file\.mjs; /);
  const [name] = faultsOf({}, { auth: 'no-such-package' }, {});
  assert.match(name, /there is no package of this name/);
});

test('no password is in a fault about a URI', () => {
  for (const uri of ['mqtts://ada:love/l@ce@host:1', 'tcp://ada:lovelace@host:1']) {
    const [fault] = faultsOf({ listen: uri }, { listen: uri }, { SURGEMQ_LISTEN: uri });
    assert.doesNotMatch(fault, /love/);
    assert.match(fault, /\*\*\*@host:1/);
  }
});

test('a log level is read in any case', () => {
  assert.equal(loadConfig({}, {}, { SURGEMQ_LOG_LEVEL: 'WARN' }).config.logLevel, 'warn');
});

test('the configuration is frozen in depth and survives a structured clone', () => {
  const { config } = loadConfig({ listen: ['tcp://:0', 'tcp://[::1]:0'] }, {}, {});
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.listen));
  assert.deepEqual(structuredClone(config), config);
});

test('durations are seconds when plain, wherever they come from', () => {
  assert.equal(loadConfig({ connectTimeout: 0.25 }, {}, {}).config.connectTimeoutMs, 250);
  assert.equal(loadConfig({}, { 'connect-timeout': '0.29' }, {}).config.connectTimeoutMs, 290);
  const environment = { SURGEMQ_KEEP_ALIVE: '2m', SURGEMQ_ACK_TIMEOUT: '1500ms' };
  const { config } = loadConfig({}, {}, environment);
  assert.equal(config.keepAliveSeconds, 120);
  assert.equal(config.ackTimeoutMs, 1500);
});

test('ring bytes are rounded up to a power of two', () => {
  assert.equal(loadConfig({ ringBytes: 5_000_000 }, {}, {}).config.ringBytes, 8_388_608);
  assert.equal(loadConfig({ ringBytes: 65_536 }, {}, {}).config.ringBytes, 65_536);
  assert.match(faultsOf({ ringBytes: 65_535 }, {}, {})[0], /rounded up to a power of two/);
});

test('listen takes URIs by commas or as a list, and keeps them in one spelling', () => {
  const environment = { SURGEMQ_LISTEN: 'tcp://:1883/, tcp://[::1]:1884' };
  assert.deepEqual(loadConfig({}, {}, environment).config.listen, [
    'tcp://:1883',
    'tcp://[::1]:1884',
  ]);
  assert.deepEqual(loadConfig({ listen: 'tcp://a:1' }, {}, {}).config.listen, ['tcp://a:1']);
  assert.equal(faultsOf({ listen: [] }, {}, {}).length, 1);
});

test('an address named twice is a fault, port 0 named twice is none', () => {
  const [fault] = faultsOf({}, { listen: 'tcp://a:1,tcp://b:1,tcp://a:1/' }, {});
  assert.match(fault, /^--listen is tcp:.*; tcp:\/\/a:1 is named twice/);
  assert.equal(faultsOf({}, { listen: 'tcp://a:0,tcp://a:0' }, {}).length, 0);
});

test('a share of the retained bytes too small for the largest packet is a warning', () => {
  const bytes = { maxPacketBytes: 1_000, maxRetainedBytes: 3_999 };
  const { warnings } = loadConfig({ workers: 4, ...bytes }, {}, {});
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /^option maxRetainedBytes is 3999, option maxPacketBytes is 1000; /);
  assert.deepEqual(loadConfig({ workers: 3, ...bytes }, {}, {}).warnings, []);
  assert.deepEqual(
    loadConfig({ workers: 4, ...bytes, maxRetainedMessages: 0 }, {}, {}).warnings,
    [],
  );
});

test('a share of what may wait in all too small for the largest packet is a warning', () => {
  const bytes = { maxPacketBytes: 1_000, maxQueuedTotalBytes: 3_999 };
  const { warnings } = loadConfig({ workers: 4, ...bytes }, {}, {});
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /^option maxQueuedTotalBytes is 3999, option maxPacketBytes is 1000; /);
  assert.deepEqual(loadConfig({ workers: 3, ...bytes }, {}, {}).warnings, []);
});

test('a queue too small for the largest packet is a warning that names both settings', () => {
  const { warnings } = loadConfig({ maxQueuedBytes: 1024 }, {}, {});
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /^option maxQueuedBytes is 1KiB, SURGEMQ_MAX_PACKET_BYTES is 1MiB; /);
  assert.deepEqual(loadConfig({ maxQueuedBytes: 0, maxQueuedMessages: 0 }, {}, {}).warnings, []);
});

test('the widest packet the protocol knows is allowed, and no wider one', () => {
  const { config } = loadConfig({}, {}, { SURGEMQ_MAX_PACKET_BYTES: '268435455' });
  assert.equal(config.maxPacketBytes, 268_435_455);
  assert.equal(faultsOf({}, {}, { SURGEMQ_MAX_PACKET_BYTES: '256MiB' }).length, 1);
});

test('a provider is a shipped name or a module that exists, given to the shards as a URL', () => {
  const here = import.meta.url;
  const authOf = (authenticator: ServerOptions['authenticator']) =>
    loadConfig({ authenticator }, {}, {}).config.auth;
  assert.deepEqual(authOf(here), [here]);
  assert.deepEqual(authOf(new URL(here).pathname), [here]);
  assert.match(authOf('pino')[0], /^file:.*\/pino\//);
  for (const name of ['mockSucess', './no/such.js', 'file:///no/such.js', 'node:fs', '', 7]) {
    assert.equal(faultsOf({ authenticator: name }, {}, {}).length, 1, String(name));
  }
});

test('authenticators may be a list, each once, with a function of the program among them', () => {
  const authOf = (authenticator: unknown) =>
    loadConfig({ authenticator } as ServerOptions, {}, {}).config.auth;
  assert.deepEqual(authOf('mockFailure, mockSuccess'), ['mockFailure', 'mockSuccess']);
  const decide = () => true;
  assert.deepEqual(authOf(['mockFailure', decide]), ['mockFailure', PROGRAM_AUTHENTICATOR]);
  for (const wrong of ['auto,mockSuccess', 'mockSuccess,mockSuccess', [], [decide, decide]]) {
    assert.equal(faultsOf({ authenticator: wrong }, {}, {}).length, 1, String(wrong));
  }
});

test('every provider that may be named without a module is there', async () => {
  const shipped = [
    ['authenticator', 'mockSuccess', (name: string) => createAuthenticator(name)],
    ['authenticator', 'mockFailure', (name: string) => createAuthenticator(name)],
    ['sessionsProvider', 'mem', (name: string) => createSessionStore(name)],
    ['topicsProvider', 'mem', (name: string) => createTopicsProvider(name)],
  ] as const;
  for (const [option, name, create] of shipped) {
    assert.deepEqual(faultsOf({ [option]: name }, {}, {}), []);
    assert.ok(await create(name), name);
  }
});
