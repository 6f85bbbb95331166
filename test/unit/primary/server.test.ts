import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { type LoadedConfig, loadConfig } from '../../../src/base/config.js';
import type { Logger } from '../../../src/base/log.js';
import { Server, type ServerInternals } from '../../../src/primary/server.js';
import type { ToPrimary, ToShard } from '../../../src/shard/control.js';
import { FAKE_START, FAKE_TOPIC } from '../../support/fake-shard-worker.js';

const workerUrl = new URL('../../support/fake-shard-worker.js', import.meta.url);
const execFileAsync = promisify(execFile);
const LOOPBACK = 'tcp://127.0.0.1:0';

/** What reached the fake shards, and log lines of others. */
class Log implements Logger {
  readonly got: ToShard[] = [];
  readonly lines: { level: string; fields: object; message: string }[] = [];
  readonly #add = (level: string) => (fields: object, message: string) => {
    if (message === 'fake') this.got.push((fields as { got: ToShard }).got);
    else this.lines.push({ level, fields, message });
  };
  debug = this.#add('debug');
  info = this.#add('info');
  warn = this.#add('warn');
  error = this.#add('error');
}

/** A configuration for fake shards: the environment of the test run has no say. */
function fakeConfig(mode: string, workers = 1, listen = LOOPBACK): LoadedConfig {
  const { config } = loadConfig(
    { workers, listen, sessionsProvider: 'mem', ringBytes: 65_536 },
    {},
    {},
  );
  return { config: { ...config, topics: mode }, warnings: [] };
}

/** A message that has the fake shard say these messages before it does what the topic says. */
function saying(topic: string, ...messages: ToPrimary[]) {
  return { topic, payload: messages.length === 0 ? '' : JSON.stringify(messages) };
}

describe('server', () => {
  let server: Server;
  let log: Log;
  const make = (
    mode: string = FAKE_START.ordinary,
    workers = 1,
    internals: ServerInternals = {},
  ) => {
    log = new Log();
    server = new Server({ logger: log }, fakeConfig(mode, workers), { workerUrl, ...internals });
    return server;
  };
  afterEach(() => server.close());

  test('listens once its shards are ready, and says where', async () => {
    make();
    const listening = once(server, 'listening');
    await server.listenAndServe();
    const [address] = server.addresses;
    assert.deepEqual(await listening, [address]);
    assert.equal(address.host, '127.0.0.1');
    assert.ok(address.port > 0);
    assert.equal(address.uri, `tcp://127.0.0.1:${address.port}`);
    assert.equal(server.stats().shards[0].isLive, true);
  });

  test('listens at further addresses', async () => {
    make();
    await server.listenAndServe();
    await server.listenAndServe(LOOPBACK);
    assert.equal(new Set(server.addresses.map(({ port }) => port)).size, 2);
  });

  test('two calls at once start the shards once', async () => {
    make();
    await Promise.all([server.listenAndServe(LOOPBACK), server.listenAndServe(LOOPBACK)]);
    assert.equal(server.addresses.length, 2);
    assert.equal(server.stats().shards.length, 1);
  });

  test('a port in use is said in one line, and another may be tried', async () => {
    make();
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' ? address?.port : 0;
    await assert.rejects(server.listenAndServe(`tcp://127.0.0.1:${port}`), {
      name: 'ConfigError',
      message: `cannot listen on tcp://127.0.0.1:${port}: the port is in use (EADDRINUSE)`,
    });
    taken.close();
    assert.deepEqual(server.addresses, []);
    assert.equal(server.stats().shards.length, 0);
    await server.listenAndServe(LOOPBACK);
    assert.equal(server.addresses.length, 1);
  });

  test('a failed further address leaves the first serving', async () => {
    make();
    await server.listenAndServe();
    const { uri } = server.addresses[0];
    await assert.rejects(server.listenAndServe(uri), /in use/);
    assert.deepEqual(
      server.addresses.map((address) => address.uri),
      [uri],
    );
    await server.publish({ topic: 'a' });
  });

  test('a shard that cannot start makes listenAndServe reject with its cause', async () => {
    make(FAKE_START.failsAtStart, 2);
    await assert.rejects(server.listenAndServe(), {
      name: 'ServerError',
      code: 'SURGEMQ_START_FAILED',
      message: 'shard 1 could not start: no such provider',
    });
    assert.deepEqual(log.lines, []);
  });

  test('publish resolves when a shard has published', async () => {
    make(FAKE_START.ordinary, 2);
    await server.listenAndServe();
    await server.publish({ topic: 'a', payload: 'b', qos: 1, retain: true });
    const publish = log.got.find((message) => message.kind === 'publish');
    assert.deepEqual(publish?.kind === 'publish' && publish.message, {
      topic: 'a',
      payload: new TextEncoder().encode('b'),
      qos: 1,
      retain: true,
    });
  });

  test('publish rejects before the server is open and after it is closed', async () => {
    make();
    await assert.rejects(server.publish({ topic: 'a' }), { code: 'SURGEMQ_NOT_OPEN' });
    await server.listenAndServe();
    await server.close();
    await assert.rejects(server.publish({ topic: 'a' }), { code: 'SURGEMQ_NOT_OPEN' });
  });

  test('publish rejects when the shard dies of it', async () => {
    make();
    await server.listenAndServe();
    await assert.rejects(server.publish(saying(FAKE_TOPIC.die)), { code: 'SURGEMQ_NOT_PUBLISHED' });
  });

  test('kick reaches the shard that holds the client id', async () => {
    make(FAKE_START.ordinary, 2);
    await server.listenAndServe();
    assert.equal(server.kick('a'), false);
    const claim = { claim: 0, clientId: 'a', discard: false, isKept: true, user: null };
    await server.publish(saying(FAKE_TOPIC.say, { kind: 'claims', claims: [claim] }));
    assert.equal(server.stats().clientIds, 1);
    assert.equal(server.kick('a'), true);
    await server.publish({ topic: 'behind it' });
    assert.ok(log.got.some((message) => message.kind === 'kick' && message.clientId === 'a'));
    assert.ok(log.got.some((message) => message.kind === 'granted' && message.claim === 0));
  });

  test('log lines of shards say which shard', async () => {
    make();
    await server.listenAndServe();
    const line = { kind: 'log', level: 'info', fields: { a: 1 }, message: 'hello' } as const;
    await server.publish(saying(FAKE_TOPIC.say, line));
    const said = log.lines.find(({ message }) => message === 'hello');
    assert.deepEqual(said, { level: 'info', fields: { shard: 0, a: 1 }, message: 'hello' });
  });

  test('shards report clients only while somebody listens', async () => {
    make();
    const watched = () =>
      log.got.flatMap((message) => (message.kind === 'watch-clients' ? [message.enabled] : []));
    const onConnected = () => {};
    server.on('connected', onConnected);
    await server.listenAndServe();
    server.on('disconnected', onConnected);
    server.off('connected', onConnected);
    await server.publish({ topic: 'a' });
    assert.deepEqual(watched(), [true]);
    server.off('disconnected', onConnected);
    await server.publish({ topic: 'a' });
    assert.deepEqual(watched(), [true, false]);
    server.removeAllListeners();
    server.once('connected', onConnected);
    await server.publish({ topic: 'a' });
    assert.deepEqual(watched(), [true, false, true]);
  });

  test('a successor of a dead shard is told who listens', async () => {
    make();
    server.on('connected', () => {});
    await server.listenAndServe();
    const started = once(server, 'shardStarted');
    await assert.rejects(server.publish(saying(FAKE_TOPIC.die)));
    await started;
    await server.publish({ topic: 'a' });
    assert.equal(log.got.filter((message) => message.kind === 'watch-clients').length, 2);
  });

  test('connected and disconnected are emitted with what shards report', async () => {
    make();
    const connected = once(server, 'connected');
    const disconnected = once(server, 'disconnected');
    await server.listenAndServe();
    await server.publish(
      saying(
        FAKE_TOPIC.say,
        { kind: 'event', name: 'connected', clientId: 'a' },
        { kind: 'event', name: 'disconnected', clientId: 'a', reason: 'kicked' },
      ),
    );
    assert.deepEqual(await connected, ['a']);
    assert.deepEqual(await disconnected, ['a', 'kicked']);
  });

  test('a dead shard is told of, replaced and counted', async () => {
    make(FAKE_START.ordinary, 2);
    await server.listenAndServe();
    const died = once(server, 'shardDied');
    const started = once(server, 'shardStarted');
    await assert.rejects(server.publish(saying(FAKE_TOPIC.die)));
    const [shardIndex, cause] = await died;
    assert.equal(shardIndex, 0);
    assert.equal((cause as Error).message, 'told to die');
    assert.deepEqual(await started, [0]);
    assert.equal(server.stats().shardDeaths, 1);
    assert.deepEqual(
      server.stats().shards.map(({ isLive }) => isLive),
      [true, true],
    );
  });

  test('a server that gives up says so, and closes by itself', async () => {
    make(FAKE_START.successorFails, 2);
    await server.listenAndServe();
    const failed = once(server, 'failed');
    const closed = once(server, 'closed');
    await assert.rejects(server.publish(saying(FAKE_TOPIC.die)));
    const [error] = await failed;
    assert.match((error as Error).message, / shards died within 60 s, the last of: still broken$/);
    await closed;
    assert.deepEqual(server.addresses, []);
  });

  test('close is the same promise however often it is called, and final', async () => {
    make();
    await server.listenAndServe();
    let closedEvents = 0;
    server.on('closed', () => closedEvents++);
    assert.equal(server.close(), server.close());
    await server.close();
    await server.close();
    assert.equal(closedEvents, 1);
    assert.deepEqual(server.addresses, []);
    assert.ok(server.stats().uptimeSeconds >= 0);
    await assert.rejects(server.listenAndServe(), { code: 'SURGEMQ_NOT_OPEN' });
  });

  test('close while the shards start ends the start', async () => {
    make(FAKE_START.hangsAtStart);
    const listening = assert.rejects(server.listenAndServe(), { code: 'SURGEMQ_NOT_OPEN' });
    await server.close();
    await listening;
  });

  test('a server that never listened closes', async () => {
    make();
    await server.close();
  });

  test('await using closes it', async () => {
    const outer = make();
    {
      await using inner = outer;
      await inner.listenAndServe();
    }
    await assert.rejects(outer.listenAndServe(), { code: 'SURGEMQ_NOT_OPEN' });
  });

  test('warnings about the configuration go to the logger', () => {
    make();
    const logger = new Log();
    new Server({ logger }, { ...fakeConfig(FAKE_START.ordinary), warnings: ['be careful'] });
    assert.deepEqual(logger.lines, [{ level: 'warn', fields: {}, message: 'be careful' }]);
  });
});

// ---- inside another program
// ------------------------------------------------------------------------

/**
 * Runs a module in a process of its own, with `Server` and `fake` in scope, until it ends by
 * itself.
 */
function runProgram(body: string) {
  const moduleUrl = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const script = `
    import { loadConfig } from ${moduleUrl('../../../src/base/config.js')};
    import { Server } from ${moduleUrl('../../../src/primary/server.js')};
    const { config } = loadConfig(
      { workers: 2, sessionsProvider: 'mem', listen: '${LOOPBACK}', ringBytes: 65536 }, {}, {});
    const loaded = { config: { ...config, topics: '${FAKE_START.ordinary}' }, warnings: [] };
    const workerUrl = new URL(${JSON.stringify(workerUrl.href)});
    const server = new Server({}, loaded, { workerUrl });
    ${body}`;
  return execFileAsync(process.execPath, ['--input-type=module', '--eval', script], {
    timeout: 20_000,
  });
}

describe('a program that embeds the server', () => {
  test('ends by itself once the server is closed, and has the output to itself', async () => {
    const { stdout, stderr } = await runProgram(`
      await server.listenAndServe();
      await server.publish({ topic: 'a' });
      await server.close();
      process.stdout.write('done');`);
    assert.equal(stdout, 'done');
    assert.equal(stderr, '');
  });

  test('ends by itself when the server could not listen', async () => {
    const { stdout } = await runProgram(`
      await server.listenAndServe('tcp://256.0.0.1:1').catch((error) => {
        process.stdout.write(error.name);
      });`);
    assert.equal(stdout, 'ConfigError');
  });

  test('keeps its signals and its handlers', async () => {
    const { stdout } = await runProgram(`
      const counted = (name) => String(name) + process.listenerCount(name);
      const events = () => process.eventNames().map(counted);
      const before = events().join();
      await server.listenAndServe();
      const during = events().join();
      await server.close();
      process.stdout.write(String(before === during));`);
    assert.equal(stdout, 'true');
  });

  test('whose listener throws has an uncaught exception, and a server that goes on', async () => {
    const { stdout } = await runProgram(`
      process.on('uncaughtException', (error) => process.stdout.write(error.message + ' '));
      server.on('connected', () => { throw new Error('mine'); });
      await server.listenAndServe();
      const event = { kind: 'event', name: 'connected', clientId: 'a' };
      await server.publish({ topic: '${FAKE_TOPIC.say}', payload: JSON.stringify([event]) });
      await server.publish({ topic: 'a' });
      await server.close();
      process.stdout.write('closed');`);
    assert.equal(stdout, 'mine closed');
  });
});
