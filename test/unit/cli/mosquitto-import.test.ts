import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { parse } from 'yaml';
import { parseConfigFile } from '../../../src/base/config-file.js';
import { parseMosquittoConf, readMosquittoConf } from '../../../src/cli/mosquitto-conf.js';
import { importedYaml, translate } from '../../../src/cli/mosquitto-import.js';

const folder = mkdtempSync(join(tmpdir(), 'mosquitto-import-'));
after(() => rmSync(folder, { recursive: true }));

/** The file that is made of a text, which must be sound, and what was left out. */
function imported(text: string): [Record<string, unknown>, string[]] {
  const translation = translate(parseMosquittoConf(text, 'm'));
  const yaml = importedYaml(translation, 'm');
  assert.deepEqual(parseConfigFile(yaml, 'f').faults, [], yaml);
  const left = translation.untranslated.map(
    ({ from, why }) => `${from.place} ${from.name}: ${why}`,
  );
  return [parse(yaml) as Record<string, unknown>, left];
}

describe('a mosquitto.conf', () => {
  test('without a listener is that of Mosquitto 2: at this machine, without user names', () => {
    assert.deepEqual(imported('# nothing\n\n'), [
      { listeners: [{ uri: 'tcp://127.0.0.1:1883' }] },
      [],
    ]);
  });

  test('has its listeners with what each has of its own', () => {
    const [file, left] = imported(
      [
        'listener 1883',
        'max_qos 1',
        'max_connections -1',
        'listener 8883 0.0.0.0',
        'max_connections 10',
        'max_topic_alias 0',
        'cafile /c/ca.pem',
        'certfile /c/cert.pem',
        'keyfile /c/key.pem',
        'crlfile /c/crl.pem',
        'require_certificate true',
        'use_identity_as_username true',
        'tls_version tlsv1.3',
        'listener 9001 ::1',
        'protocol websockets',
        'listener 0 /run/mqtt.sock',
        'allow_anonymous true',
      ].join('\n'),
    );
    assert.deepEqual(left, []);
    assert.deepEqual(file, {
      allowAnonymous: true,
      listeners: [
        { uri: 'tcp://:1883', maxQos: 1 },
        {
          uri: 'tls://0.0.0.0:8883',
          maxConnections: 10,
          topicAliasMaximum: 0,
          tls: {
            ca: '/c/ca.pem',
            certificate: '/c/cert.pem',
            key: '/c/key.pem',
            crl: '/c/crl.pem',
            clientCertificate: 'required',
            usernameFrom: 'cn',
            minVersion: 'TLSv1.3',
          },
        },
        { uri: 'ws://[::1]:9001/mqtt' },
        { uri: 'unix:///run/mqtt.sock' },
      ],
    });
  });

  test('says who is let in, and what holds for all', () => {
    const [file, left] = imported(
      [
        'port 1884',
        'bind_address 127.0.0.1',
        'password_file /etc/pw',
        'max_connections 100',
        'max_inflight_messages 0',
        'max_queued_messages 500',
        'max_packet_size 1000',
        'message_size_limit 900',
        'max_keepalive 120',
        'persistent_client_expiration 2w',
        'retain_available false',
        'log_type error',
        'log_type warning',
        'set_tcp_nodelay true',
      ].join('\n'),
    );
    assert.deepEqual(left, []);
    assert.deepEqual(file, {
      passwordFile: '/etc/pw',
      maxInflight: 65_535,
      maxQueuedMessages: 500,
      maxPacketBytes: 1_000,
      maxPayloadBytes: 900,
      maxKeepAlive: 120,
      sessionExpiry: '14d',
      maxSessionExpiry: '14d',
      retainAvailable: false,
      logLevel: 'warn',
      // Mosquitto lets nobody in without a user name where there is a listener.
      allowAnonymous: false,
      listeners: [{ uri: 'tcp://127.0.0.1:1884', maxConnections: 100 }],
    });
  });

  test('with settings for each listener has them there', () => {
    const [file, left] = imported(
      [
        'listener 1883 127.0.0.1',
        'allow_anonymous true',
        'password_file /a',
        'listener 1884',
        'allow_anonymous false',
        'password_file /b',
        'per_listener_settings true',
      ].join('\n'),
    );
    assert.deepEqual(file.listeners, [
      { uri: 'tcp://127.0.0.1:1883', allowAnonymous: true },
      { uri: 'tcp://:1884', allowAnonymous: false },
    ]);
    assert.deepEqual(left, [
      'm:6 password_file: there is one passwordFile for all listeners, and it is /a',
    ]);
  });

  test('loses nothing in silence', () => {
    const [, left] = imported(
      [
        'persistence true',
        'bind_interface eth0',
        'plugin /usr/lib/x.so',
        'plugin_opt_a b',
        'no_such_thing 5',
        'max_inflight_messages many',
        'connection bridge',
        'address b.example',
        'topic # out',
        'listener 1',
        'persistent_client_expiration 2y',
      ].join('\n'),
    );
    const names = left.map((line) => /^m:(\d+ \S+):/.exec(line)?.[1]);
    assert.deepEqual(names, [
      '1 persistence',
      '2 bind_interface',
      '3 plugin',
      '4 plugin_opt_a',
      '5 no_such_thing',
      '6 max_inflight_messages',
      '7 connection',
      '8 address',
      '9 topic',
      '11 persistent_client_expiration',
    ]);
  });

  test('takes the files of include_dir in, by their names', () => {
    const inner = join(folder, 'conf.d');
    mkdirSync(inner);
    writeFileSync(join(inner, '2.conf'), 'listener 2\n');
    writeFileSync(join(inner, '1.conf'), 'listener 1\n');
    writeFileSync(join(inner, 'other.txt'), 'listener 3\n');
    const path = join(folder, 'mosquitto.conf');
    writeFileSync(path, `include_dir ${inner}\nmax_qos 1\n`);
    assert.deepEqual(
      readMosquittoConf(path).map(({ name, value, place }) => [name, value, place]),
      [
        ['listener', '1', `${join(inner, '1.conf')}:1`],
        ['listener', '2', `${join(inner, '2.conf')}:1`],
        ['max_qos', '1', `${path}:2`],
      ],
    );
    writeFileSync(path, `include_dir ${folder}/none\n`);
    assert.throws(() => readMosquittoConf(path), {
      name: 'ConfigError',
      message: /:1: include_dir/,
    });
    assert.throws(() => readMosquittoConf(`${folder}/none`), { name: 'ConfigError' });
  });

  test("of Debian's, where it is there, becomes a sound file", () => {
    for (const path of [
      '/usr/share/doc/mosquitto/examples/mosquitto.conf',
      '/etc/mosquitto/mosquitto.conf',
    ]) {
      if (!existsSync(path)) continue;
      const yaml = importedYaml(translate(readMosquittoConf(path)), path);
      assert.deepEqual(parseConfigFile(yaml, 'f').faults, []);
    }
  });
});
