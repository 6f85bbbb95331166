/** Values that listeners and users of a configuration file have of their own. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Server } from '../../src/index.js';
import { publish } from '../support/packets.js';
import { connect5, parseSaid, prop } from '../support/packets5.js';
import { RawClient } from '../support/raw-client.js';
import { numbers } from '../support/suite.js';
import { TestClient, type TestClientOptions } from '../support/test-client.js';
import { eventually } from '../support/waiting.js';

const folder = mkdtempSync(join(tmpdir(), 'own-settings-'));
after(() => rmSync(folder, { recursive: true }));
const configFile = join(folder, 'surgemq.yaml');
/** Listeners of the file, in its order. */
const WIDE = 0;
const NARROW = 1;

interface Entries {
  readonly all?: string;
  readonly wide?: string;
  readonly narrow?: string;
  readonly users?: string;
}

/** Two listeners, and users whose password is `x`: lines of YAML that each has besides. */
function write({ all = '', wide = '', narrow = '', users = '' }: Entries): void {
  const at = (host: string, own: string) => `  - { uri: 'tcp://${host}:0', ${own} }\n`;
  writeFileSync(
    configFile,
    `workers: 2\nmaxLoopDelay: 0\nauthenticator: password\nallowAnonymous: true\n${all}\n` +
      `listeners:\n${at('127.0.0.1', wide)}${at('127.0.0.2', narrow)}` +
      `users:\n  - { name: plain, password: x }\n${users}`,
  );
}

/** A broker by such a file. */
class Host implements AsyncDisposable {
  readonly server: Server;
  readonly #clients: RawClient[] = [];

  private constructor(server: Server) {
    this.server = server;
  }

  static async start(entries: Entries): Promise<Host> {
    write(entries);
    const quiet = { debug() {}, info() {}, warn() {}, error() {} };
    const server = new Server({ configFile, sessionsProvider: 'mem', logger: quiet });
    await server.listenAndServe();
    return new Host(server);
  }

  async reload(entries: Entries): Promise<void> {
    write(entries);
    await this.server.reload();
  }

  async raw(listener: number): Promise<RawClient> {
    const client = await RawClient.open(this.server.addresses[listener]);
    this.#clients.push(client);
    return client;
  }

  async client(listener: number, options: TestClientOptions = {}): Promise<TestClient> {
    const { host, port } = this.server.addresses[listener];
    const named = options.username === undefined ? {} : { password: 'x' };
    const client = await TestClient.connect({ host, port }, { ...named, ...options });
    this.#clients.push(client.raw);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.cut();
    await this.server.close();
  }
}

/** What a subscriber is granted of five filters. */
async function granted(client: TestClient): Promise<number> {
  const codes = await client.subscribe(
    ...numbers(1, 5).map((n): [string, number] => [`f/${n}`, 0]),
  );
  return codes.filter((code) => code < 0x80).length;
}

describe('a value of its own', () => {
  const user = '  - { name: own, password: x, maxSubscriptions: 3 }\n';

  test('holds for clients of its listener or user alone, the user first', async () => {
    await using host = await Host.start({ narrow: 'maxSubscriptions: 2', users: user });
    assert.equal(await granted(await host.client(WIDE)), 5);
    assert.equal(await granted(await host.client(NARROW)), 2);
    assert.equal(await granted(await host.client(WIDE, { username: 'plain' })), 5);
    assert.equal(await granted(await host.client(NARROW, { username: 'plain' })), 2);
    assert.equal(await granted(await host.client(WIDE, { username: 'own' })), 3);
    assert.equal(await granted(await host.client(NARROW, { username: 'own' })), 3);
  });

  test('is changed by a reload for clients that are here, given and taken away', async () => {
    await using host = await Host.start({});
    const clients = [
      await host.client(WIDE),
      await host.client(NARROW),
      await host.client(WIDE, { username: 'own-later' }).catch(() => null),
      await host.client(WIDE, { username: 'plain' }),
    ];
    assert.equal(clients[2], null);
    await host.reload({ narrow: 'maxSubscriptions: 2', users: user });
    assert.equal(await granted(clients[0]!), 5);
    assert.equal(await granted(clients[1]!), 2);
    const own = await host.client(WIDE, { username: 'own' });
    assert.equal(await granted(own), 3);
    await host.reload({ all: 'maxSubscriptions: 4', narrow: 'maxSubscriptions: 1', users: user });
    assert.equal(await granted(await host.client(NARROW)), 1);
    assert.equal(await granted(await host.client(WIDE, { username: 'own' })), 3);
    await host.reload({ users: '  - { name: own, password: x }\n' });
    assert.equal(await granted(clients[1]!), 5);
    assert.equal(await granted(own), 5);
  });

  test('of packets and payloads closes who passes it, and 5.0 clients are told it', async () => {
    await using host = await Host.start({
      narrow: 'maxPacketBytes: 1KiB',
      users: '  - { name: own, password: x, maxPayloadBytes: 10 }\n',
    });
    const wide = await host.client(WIDE);
    await wide.publish('a', 'x'.repeat(2_000), { qos: 1 });
    const narrow = await host.client(NARROW);
    await narrow.publish('a', 'x'.repeat(900), { qos: 1 });
    narrow.raw.send(publish({ topic: 'a', payload: 'x'.repeat(2_000) }));
    await narrow.untilClosed();
    const own = await host.client(WIDE, { username: 'own' });
    await own.publish('a', 'x'.repeat(10), { qos: 1 });
    own.raw.send(publish({ topic: 'a', payload: 'x'.repeat(11) }));
    await own.untilClosed();
    assert.equal(host.server.stats().refusedPayloads, 1);
    const told: unknown[] = [];
    for (const listener of [WIDE, NARROW]) {
      const client = await host.raw(listener);
      client.send(connect5({ clientId: `v5-${listener}` }));
      told.push(parseSaid(await client.readPacket('CONNACK')).properties.get(0x27));
    }
    assert.deepEqual(told, [1_048_576, 1_024]);
  });

  test('of a will is that of the user, who is not known before', async () => {
    const users = '  - { name: own, password: x, maxPayloadBytes: 20, maxQos: 1 }\n';
    await using host = await Host.start({ narrow: 'maxPayloadBytes: 5', users });
    const will = { topic: 'w', payload: 'x'.repeat(10), qos: 1 };
    // CONNACK 3, server unavailable
    await assert.rejects(host.client(NARROW, { will, username: 'plain' }), /3/);
    await host.client(NARROW, { will, username: 'own' });
    const long = { ...will, payload: 'x'.repeat(21) };
    await assert.rejects(host.client(WIDE, { will: long, username: 'own' }), /3/);
    await assert.rejects(host.client(WIDE, { will: { ...will, qos: 2 }, username: 'own' }), /3/);
    assert.equal(host.server.stats().refusedPayloads, 2);
  });

  test('of rates pauses its clients, and no others', async () => {
    await using host = await Host.start({
      users: '  - { name: own, password: x, maxMessageRate: 20 }\n',
    });
    const plain = await host.client(WIDE, { username: 'plain' });
    await plain.publishAll('a', numbers(1, 100), { qos: 1 });
    assert.equal(host.server.stats().overRate, 0);
    const own = await host.client(WIDE, { username: 'own' });
    await own.publishAll('a', numbers(1, 30), { qos: 1 });
    assert.equal(host.server.stats().overRate, 1);
    // Without a rate it owes nothing.
    await host.reload({ users: '  - { name: own, password: x }\n' });
    await own.publishAll('a', numbers(1, 300), { qos: 1 });
    assert.equal(host.server.stats().overRate, 1);
  });

  test('of queues bounds what waits for clients that are away, whom a reload reaches', async () => {
    const users = (own: string) => `  - { name: own, password: x, ${own} }\n`;
    await using host = await Host.start({ users: users('maxQueuedMessages: 3') });
    const options = { cleanSession: false, username: 'own', clientId: 'away' };
    const away = await host.client(WIDE, options);
    await away.subscribe(['q', 1]);
    const other = await host.client(WIDE, { ...options, username: 'plain', clientId: 'other' });
    await other.subscribe(['q', 1]);
    const { server } = host;
    for (const client of [away, other]) await client.disconnect();
    await eventually(() => server.stats().connectionsOpen === 0, 'both to be away');
    const publisher = await host.client(WIDE);
    await publisher.publishAll('q', numbers(1, 10), { qos: 1 });
    await eventually(() => server.stats().queuedMessages === 13, 'both to have what they may');
    assert.equal(server.stats().droppedQueueFull, 7);
    await host.reload({ users: users('maxQueuedMessages: 5') });
    await publisher.publishAll('q', numbers(11, 20), { qos: 1 });
    await eventually(() => server.stats().queuedMessages === 25, 'both to have what they may');
  });

  test('of slow consumers decides what each loses', async () => {
    const own = 'slowConsumerPolicy: disconnect, outboxBytes: 64KiB';
    await using host = await Host.start({ narrow: own });
    const wide = await host.client(WIDE);
    const narrow = await host.client(NARROW);
    for (const client of [wide, narrow]) {
      await client.subscribe(['slow', 0]);
      client.raw.pauseReading();
    }
    const publisher = await host.client(WIDE);
    const closed = () => host.server.stats().closed['slow-consumer'];
    const payload = 'x'.repeat(60_000);
    while (closed() === 0) await publisher.publish('slow', payload, { qos: 1 });
    assert.equal(closed(), 1);
    wide.raw.resumeReading();
    await wide.ping();
    narrow.raw.resumeReading();
    await narrow.untilClosed();
  });

  test('of connections refuses more by its listener or of its user', async () => {
    await using host = await Host.start({
      narrow: 'maxConnections: 2',
      users: '  - { name: own, password: x, maxConnections: 1 }\n',
    });
    const first = await host.client(NARROW);
    const second = await host.client(NARROW);
    const refused = await host.raw(NARROW);
    await refused.untilClosed();
    const { server } = host;
    assert.equal(server.stats().refusals['max-connections-of-listener'], 1);
    for (let n = 0; n < 3; n++) await host.client(WIDE);
    for (const client of [first, second]) await client.disconnect();
    await eventually(() => server.stats().connectionsOpen === 3, 'two to be gone');
    await host.client(NARROW, { username: 'own' });
    await assert.rejects(host.client(WIDE, { username: 'own' }), /3/);
    assert.equal(server.stats().refusedUserConnections, 1);
    await host.client(WIDE, { username: 'plain' });
    await host.client(WIDE, { username: 'plain' });
  });

  test('of session and keep alive is told to 5.0 clients of its listener', async () => {
    await using host = await Host.start({
      narrow: 'maxSessionExpiry: 60s, maxKeepAlive: 30s, receiveMaximum: 7, maxQos: 0',
    });
    const client = await host.raw(NARROW);
    client.send(connect5({ clientId: 'told', keepAlive: 100, properties: prop.uint32(0x11, 600) }));
    const { properties } = parseSaid(await client.readPacket('CONNACK'));
    const told = [0x11, 0x13, 0x21, 0x24].map((name) => properties.get(name));
    assert.deepEqual(told, [60, 30, 7, 0]);
  });
});
