import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Ajv } from 'ajv';
import { type LoadedConfig, loadConfig } from '../../../src/base/config.js';
import { configFileSchema, parseConfigFile } from '../../../src/base/config-file.js';
import { ConfigError } from '../../../src/base/errors.js';
import {
  CONFIG_FAULTS_FOUND_MAX,
  CONFIG_FAULTS_MAX,
  CONFIG_FILE_BYTES_MAX,
} from '../../../src/base/limits.js';
import { CONFIG_SETTINGS } from '../../../src/base/settings-table.js';

const folder = mkdtempSync(join(tmpdir(), 'config-file-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;

function file(text: string): string {
  const path = join(folder, `${++files}.yaml`);
  writeFileSync(path, text);
  return path;
}

function faultsOf(text: string): readonly string[] {
  return parseConfigFile(text, 'f').faults;
}

/** Faults of a broker that is started with this file. */
function loadFaults(text: string): readonly string[] {
  const path = file(text);
  try {
    loadConfig({ configFile: path }, {}, {});
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map((line) => line.replace(path, 'f'));
    throw error;
  }
  return [];
}

describe('a configuration file', () => {
  test('may say every setting, by its option', () => {
    const path = file('workers: 3\nmaxQueuedBytes: 64KiB\nkeepAlive: 5m\ncoalesceReads: false\n');
    const { config, origins } = loadConfig({ configFile: path }, {}, {});
    const { workers, maxQueuedBytes, keepAliveSeconds, coalesceReads } = config;
    assert.deepEqual(
      [workers, maxQueuedBytes, keepAliveSeconds, coalesceReads],
      [3, 65_536, 300, false],
    );
    assert.equal(origins?.maxQueuedBytes, `${path}:2:17`);
    assert.equal(origins?.maxInflight, 'default');
  });

  test('may be JSON', () => {
    const path = file('{\n  "workers": 3,\n  "listen": ["tcp://127.0.0.1:0"]\n}\n');
    const { config } = loadConfig({}, { config: path }, {});
    assert.deepEqual([config.workers, config.listen], [3, ['tcp://127.0.0.1:0']]);
  });

  test('is weaker than environment, flags and options, in this order', () => {
    const path = file('maxInflight: 1\n');
    const of = ({ config, origins }: LoadedConfig) => [config.maxInflight, origins?.maxInflight];
    const inEnvironment = { SURGEMQ_CONFIG: path };
    assert.deepEqual(of(loadConfig({}, {}, inEnvironment)), [1, `${path}:1:14`]);
    const environment = { ...inEnvironment, SURGEMQ_MAX_INFLIGHT: '2' };
    assert.deepEqual(of(loadConfig({}, {}, environment)), [2, 'SURGEMQ_MAX_INFLIGHT']);
    const flags = { 'max-inflight': '3' };
    assert.deepEqual(of(loadConfig({}, flags, environment)), [3, '--max-inflight']);
    const options = { maxInflight: 4 };
    assert.deepEqual(of(loadConfig(options, flags, environment)), [4, 'option maxInflight']);
  });

  test('says all that is wrong at once, each with line and column', () => {
    const text = [
      'maxInflght: 5',
      'maxInflight: 0',
      'workers: 2',
      'workers: 3',
      'listeners:',
      '  - uri: tls://127.0.0.1:0',
      '    tls: {minVersion: TLSv1.1}',
      '  - allowAnonymous: perhaps',
      '  - 5',
      'users: {}',
      'rules: [{allow: read}, {filter: a}, {deny: red, filter: a/#/b}]',
    ].join('\n');
    assert.deepEqual(loadFaults(text), [
      'f:1:1: there is no setting "maxInflght"; did you mean maxInflight?',
      'f:4:1: workers is said twice',
      'f:7:23: listeners[0].tls.minVersion is "TLSv1.1"; allowed: TLSv1.2, TLSv1.3',
      'f:8:5: listeners[1] has no uri',
      'f:8:21: listeners[1].allowAnonymous is "perhaps"; allowed: true or false',
      'f:9:5: listeners[2] has to be a mapping of names to values',
      'f:10:8: users has to be a list',
      'f:11:9: rules[0] has no filter',
      'f:11:24: rules[1] has to have one of allow and deny',
      'f:11:44: rules[2].deny is "red"; allowed: one or more of publish, read and subscribe',
      'f:11:57: rules[2].filter is "a/#/b"; allowed: a Topic Filter: + is a whole level, # the ' +
        'last one',
      'f:2:14: maxInflight is 0; allowed: a whole number from 1 to 65,535',
    ]);
  });

  test('has users and rules', () => {
    const text =
      'users:\n- {name: a, password: b, rules: [{deny: [publish, read], filter: "%u/#"}]}\n' +
      'rules:\n- {allow: subscribe, filter: "#"}\n';
    const { config } = loadConfig({ configFile: file(text) }, {}, {});
    const deny = { effect: 'deny', actions: ['publish', 'read'], filter: '%u/#' };
    assert.deepEqual(config.users, [
      {
        name: 'a',
        password: 'b',
        passwordHash: null,
        rules: [deny],
        maxConnections: null,
        ownSettings: {},
      },
    ]);
    const allow = { effect: 'allow', actions: ['subscribe'], filter: '#' };
    assert.deepEqual(config.rules, [allow]);
    assert.ok(Object.isFrozen(config.users[0]?.rules));
  });

  test('has what listeners and users have of their own, by the names of the settings', () => {
    const text =
      "listeners:\n- {uri: 'tcp://:1', maxConnections: 5, maxKeepAlive: 1m, outboxBytes: 64KiB}\n" +
      'users:\n- {name: a, maxConnections: 0, slowConsumerPolicy: latest, maxQos: 0}\n';
    const { config } = loadConfig({ configFile: file(text) }, {}, {});
    const [listener] = config.listeners;
    const own = { maxKeepAliveSeconds: 60, outboxBytes: 65_536 };
    assert.deepEqual([listener?.maxConnections, listener?.ownSettings], [5, own]);
    const [user] = config.users;
    const ofUser = { slowConsumerPolicy: 'latest', maxQos: 0 };
    assert.deepEqual([user?.maxConnections, user?.ownSettings], [0, ofUser]);
    // The values for all are what they were.
    assert.deepEqual([config.outboxBytes, config.maxQos], [1_048_576, 2]);
    const wrong =
      "listeners:\n- {uri: 'tcp://:1', maxConections: 5, outboxBytes: 1}\n" +
      'users:\n- {name: a, maxKeepAlive: 1m, slowConsumerPolicy: none}\n';
    assert.deepEqual(faultsOf(wrong), [
      'f:2:21: there is no name in listeners[0] "maxConections"; did you mean maxConnections?',
      'f:2:52: listeners[0].outboxBytes is 1; allowed: bytes, plain or with KiB, MiB or GiB, ' +
        'from 16KiB to 1GiB',
      'f:4:13: there is no name in users[0] "maxKeepAlive"',
      'f:4:51: users[0].slowConsumerPolicy is "none"; allowed: backpressure, drop-newest, ' +
        'drop-oldest, latest, disconnect',
    ]);
  });

  test('has each user once, with one password, and never shows it', () => {
    const text =
      'users:\n- {name: a, password: geheim, passwordHash: geheim}\n- {name: a}\n' +
      '- {name: b, password: [geheim]}\n';
    const faults = faultsOf(text);
    assert.deepEqual(faults, [
      'f:2:3: user "a" has both password and passwordHash',
      'f:3:3: user "a" is there twice',
      'f:4:23: users[2].password is not as it may be; allowed: text of at most 65,535 bytes, ' +
        'without control characters',
    ]);
  });

  test('says where to listen in one place', () => {
    assert.deepEqual(faultsOf('listen: tcp://:0\nlisteners: [{uri: "tcp://:1"}]\n'), [
      'f:1:1: listen and listeners: say it in one of them',
    ]);
    const path = file('listeners:\n  - uri: tcp://127.0.0.1:1883\n  - uri: tcp://[::1]:1883\n');
    const { config } = loadConfig({ configFile: path }, {}, {});
    assert.deepEqual(config.listen, ['tcp://127.0.0.1:1883', 'tcp://[::1]:1883']);
    const other = loadConfig({ listen: 'tcp://127.0.0.1:5' }, { config: path }, {});
    assert.deepEqual(other.config.listen, ['tcp://127.0.0.1:5']);
  });

  test('has values of its own for a listener, before those for all', () => {
    const text = [
      'tlsCa: ca.pem',
      'tlsCert: all.pem',
      'tlsKey: all.key',
      'listeners:',
      '  - uri: tls://:8883',
      '    tls: {certificate: own.pem, key: own.key, clientCertificate: required}',
      '  - uri: wss://:8884',
      '    websocket: {origins: https://a.example}',
      '    allowAnonymous: false',
      '  - uri: unix:///tmp/mqtt',
      '    mode: "600"',
    ].join('\n');
    const { listeners } = loadConfig({ configFile: file(text) }, {}, {}).config;
    const [tls, wss, unix] = listeners;
    assert.deepEqual(tls?.tls?.certificates, [{ certificate: 'own.pem', key: 'own.key' }]);
    assert.deepEqual([tls?.tls?.ca, tls?.tls?.clientCertificate], ['ca.pem', 'required']);
    assert.deepEqual(wss?.tls?.certificates, [{ certificate: 'all.pem', key: 'all.key' }]);
    assert.deepEqual(wss?.websocket, { path: '/mqtt', origins: ['https://a.example'] });
    assert.deepEqual([wss?.allowAnonymous, tls?.allowAnonymous], [false, null]);
    assert.equal(unix?.mode, 0o600);
  });

  test('names what a listener lacks, and what has no meaning for it', () => {
    assert.deepEqual(faultsOf('listeners:\n- 5\n- {uri: "tcp://:1", tls: {}, mode: "600"}\n'), [
      'f:2:3: listeners[0] has to be a mapping of names to values',
      'f:3:21: tls has no meaning for tcp://:1',
      'f:3:30: mode has no meaning for tcp://:1',
    ]);
    assert.match(
      String(loadFaults('listeners:\n- {uri: "tls://:8883"}\n')),
      /^f:2:1: tls:\/\/:8883: TLS needs a certificate and its key/,
    );
  });

  test('may repeat itself by aliases, which must be there', () => {
    const text = 'rules:\n- &all {allow: read, filter: a}\n- *all\n';
    assert.equal(parseConfigFile(text, 'f').rules.length, 2);
    assert.deepEqual(faultsOf('rules:\n- *none\n'), [
      'f:2:3: there is no &none before this',
      'f:2:3: rules[0] has to be a mapping of names to values',
    ]);
  });

  test('may be empty, and is one mapping otherwise', () => {
    assert.deepEqual(faultsOf(''), []);
    assert.deepEqual(faultsOf('# nothing\n'), []);
    for (const text of ['5', '[]', 'a', '- a', '{a']) assert.equal(faultsOf(text).length > 0, true);
    assert.match(String(faultsOf('workers: 1\n---\nworkers: 2')), /^f:2:1: .*multiple documents/);
    assert.deepEqual(faultsOf('[a]: 1'), ['f:1:1: a name must be text']);
    assert.deepEqual(faultsOf('__proto__: 1'), ['f:1:1: there is no setting "__proto__"']);
    assert.deepEqual(faultsOf('workers: !module x'), ['f:1:10: Unresolved tag: !module']);
  });

  // What is nested or repeats itself without end is found before anything is built of it.
  test('is not believed in depth and number', () => {
    const deep = 'is nested more deeply than 24 levels';
    for (const piece of ['[', '{a: ', '- ', '? ', 'a: [', '- [ ']) {
      const text = piece.repeat(CONFIG_FILE_BYTES_MAX / piece.length);
      assert.match(String(faultsOf(text)), new RegExp(`^f:1:\\d+: ${deep}$`));
    }
    const steps = Array.from({ length: 1_000 }, (_, at) => `${' '.repeat(at)}a:`).join('\n');
    assert.match(String(faultsOf(steps)), /more than 160 blanks in a row$/);
    assert.deepEqual(faultsOf('rules: &a [*a]'), [`f:1:11: ${deep}`]);
    const layers = Array.from({ length: 8 }, (_, at) => {
      const inner = Array(10).fill(at === 0 ? 'x' : `*n${at - 1}`);
      return `n${at}: &n${at} [${inner.join(',')}]\n`;
    });
    assert.match(String(faultsOf(layers.join(''))), /says more than 100000 things/);
  });

  // As a whole: two seconds for most of these, and minutes for the aliases, of which the parser
  // looked for each in the whole document.
  test('of nothing but faults is read as far as a thousand of them', () => {
    for (const piece of [
      '}\n',
      '*\n',
      '- a\nb\n',
      '%x\n',
      'a: }\n',
      '{a b}\n',
      '- *x\n',
      '- a\n- *y',
    ]) {
      const faults = faultsOf(piece.repeat(Math.floor(CONFIG_FILE_BYTES_MAX / piece.length)));
      assert.equal(faults.at(-1), `f: and ${CONFIG_FAULTS_FOUND_MAX + 1 - CONFIG_FAULTS_MAX} more`);
    }
    const quoted = `"${'\\q'.repeat(100_000)}"`;
    assert.match(String(faultsOf(quoted).at(-1)), /^f: and 951 more$/);
  });

  test('may have as many aliases as other values', () => {
    const aliases = 'rules:\n- &all {allow: read, filter: a}\n'.concat('- *all\n'.repeat(20_000));
    assert.equal(parseConfigFile(aliases, 'f').rules.length, 20_001);
    // The last of a name before the alias, though an alias has brought an older one again.
    const twice = 'listen: [&b tcp://:1, &a [&b tcp://:2], &b tcp://:3, *a, *b]';
    const listen = parseConfigFile(twice, 'f').settings.get('listen')?.value;
    assert.deepEqual(listen, ['tcp://:1', ['tcp://:2'], 'tcp://:3', ['tcp://:2'], 'tcp://:3']);
  });

  test('with thousands of faults tells the first, and how many more there are', () => {
    const names = Array.from({ length: 500 }, (_, at) => `name${at}: 1\n`).join('');
    const faults = faultsOf(names);
    assert.equal(faults.length, CONFIG_FAULTS_MAX + 1);
    assert.equal(faults.at(-1), `f: and ${500 - CONFIG_FAULTS_MAX} more`);
  });

  test('that cannot be read is a fault as others are', () => {
    const faultOf = (path: string) => {
      try {
        loadConfig({ maxInflight: 0 }, {}, { SURGEMQ_CONFIG: path });
      } catch (error) {
        assert.ok(error instanceof ConfigError);
        assert.match(error.faults[1] ?? '', /^option maxInflight/);
        return error.faults[0]?.replace(path, 'f');
      }
      return 'none';
    };
    assert.equal(faultOf(join(folder, 'none')), 'f: cannot be read: there is no such file');
    assert.equal(faultOf(folder), 'f: is no file');
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    assert.equal(faultOf(pipe), 'f: is no file');
    const large = file('');
    truncateSync(large, CONFIG_FILE_BYTES_MAX + 1);
    assert.equal(faultOf(large), 'f: is larger than 256KiB');
  });
});

describe('the schema of configuration files', () => {
  const validate = new Ajv({ strict: false }).compile(configFileSchema());

  test('has every setting with what it does and what is allowed', () => {
    const { properties } = configFileSchema() as {
      properties: Record<string, { description: string }>;
    };
    for (const { option, summary, type } of Object.values(CONFIG_SETTINGS)) {
      if (option === 'configFile') continue;
      const description = properties[option]?.description ?? '';
      assert.ok(description.includes(summary) && description.includes(type.allowed), option);
    }
  });

  test('takes the default of every setting', () => {
    for (const { option, default: fallback } of Object.values(CONFIG_SETTINGS)) {
      if (option === 'configFile') continue;
      const { settings, faults } = parseConfigFile(`${option}: ${JSON.stringify(fallback)}`, 'f');
      assert.deepEqual(faults, []);
      const plain = /^(?:\d+|true|false)$/.test(fallback) ? JSON.parse(fallback) : fallback;
      assert.ok(validate({ [option]: plain }), `${option}: ${JSON.stringify(validate.errors)}`);
      assert.equal(settings.size, 1);
    }
  });

  test('takes the example, and so does the broker', () => {
    const path = new URL('../../../../surgemq.example.yaml', import.meta.url).pathname;
    assert.deepEqual(parseConfigFile(readFileSync(path, 'utf8'), path).faults, []);
    const { config } = loadConfig({ configFile: path }, {}, {});
    assert.deepEqual(
      [config.maxPacketBytes, config.users.length, config.rules.length],
      [262_144, 2, 1],
    );
  });
});
