/** What an operator sees of clients: who came from where, and why they went. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Broker, type LogLine, startBroker, unique } from '../support/broker.js';
import { connect } from '../support/packets.js';
import { describeTheme } from '../support/suite.js';
import { eventually } from '../support/waiting.js';

/** The first line with this message, and this client id if there is one. */
async function lineOf(broker: Broker, message: string, clientId?: string): Promise<LogLine> {
  let found: LogLine | undefined;
  await eventually(
    () => {
      found = broker.logs.find((line) => {
        return line.message === message && line.fields.clientId === clientId;
      });
      return found !== undefined;
    },
    `"${message}"; ${JSON.stringify(broker.logs)}`,
  );
  return found!;
}

describeTheme('the log', (theme) => {
  test('has a line for a client that comes, and one for a client that goes', async () => {
    const clientId = unique('seen');
    const client = await theme.broker.client({ clientId, username: 'ada', keepAlive: 7 });
    const came = await lineOf(theme.broker, 'client connected', clientId);
    const { address } = came.fields;
    assert.match(String(address), /^127\.0\.0\.1:[1-9]\d*$/);
    const who = { clientId, user: 'ada', address, protocol: '3.1.1', keepAliveSeconds: 7 };
    const { shard, ...fields } = came.fields;
    assert.deepEqual([came.level, fields], ['info', { ...who, cleanSession: true }]);
    await client.disconnect();
    const went = await lineOf(theme.broker, 'client disconnected', clientId);
    const expected = { shard, ...who, reason: 'client-disconnected' };
    assert.deepEqual([went.level, went.fields], ['info', expected]);
  });

  test('tells a connection that was lost from one that was ended, and 3.1 from 3.1.1', async () => {
    const clientId = unique('lost');
    const client = await theme.broker.client({ clientId, level: 3 });
    await client.cut();
    const { fields } = await lineOf(theme.broker, 'client disconnected', clientId);
    assert.equal(fields.reason, 'connection-lost');
    assert.equal(fields.protocol, '3.1');
  });

  test('calls clients of other protocols by their name', async () => {
    for (const [bytes, name] of [
      [Buffer.from('16030100a5010000a10303', 'hex'), /TLS/],
      [Buffer.from('GET / HTTP/1.1\r\n'), /HTTP/],
      [Buffer.from('POST /mqtt HTTP/1.1\r\n'), /HTTP/],
      [Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n'), /PROXY/],
      [Buffer.from('0d0a0d0a000d0a515549540a', 'hex'), /PROXY/],
      [Buffer.from('SSH-2.0-OpenSSH_9\r\n'), /SSH/],
    ] as const) {
      const client = await theme.broker.raw();
      const before = theme.broker.logs.length;
      client.send(bytes);
      await client.expectClose();
      const isNamed = ({ fields }: LogLine): boolean => name.test(String(fields.detail));
      await eventually(() => theme.broker.logs.slice(before).some(isNamed), `a line with ${name}`);
    }
  });
});

describe('the log of a broker with one worker', () => {
  test('tells user and address of a refused login, and never a password', async () => {
    await using broker = await startBroker({ workers: 1, authenticator: 'mockFailure' });
    const client = await broker.raw();
    client.send(connect({ clientId: 'guesser', username: 'root', password: 'hunter2' }));
    await client.untilClosed();
    const { level, fields } = await lineOf(broker, 'client refused', 'guesser');
    assert.equal(level, 'info');
    assert.equal(fields.user, 'root');
    assert.match(String(fields.address), /^127\.0\.0\.1:/);
    assert.equal(fields.returnCode, 4);
    assert.doesNotMatch(JSON.stringify(broker.logs), /hunter2/);
  });

  test('has subscriptions at debug level, and only there', async () => {
    for (const logLevel of ['debug', 'info']) {
      await using broker = await startBroker({ workers: 1, logLevel });
      const client = await broker.client({ clientId: 'reader' });
      await client.subscribe(['a/+', 1], ['b', 0]);
      await client.unsubscribe('b');
      await client.disconnect();
      await lineOf(broker, 'client disconnected', 'reader');
      const lines = broker.logs.filter(({ level }) => level === 'debug');
      assert.deepEqual(
        lines.map(({ message, fields: { shard, ...fields } }) => [message, fields]),
        logLevel === 'info'
          ? []
          : [
              ['subscribed', { clientId: 'reader', count: 2, filters: 'a/+ b', granted: [1, 0] }],
              ['unsubscribed', { clientId: 'reader', count: 1, filters: 'b' }],
            ],
      );
    }
  });

  test('a storm of clients: every one has a line or is counted in one', async () => {
    await using broker = await startBroker({ workers: 1 });
    const clients = 300;
    for (let n = 0; n < clients; n += 50) {
      const some = Array.from({ length: 50 }, (_, at) => broker.client({ clientId: `c${n + at}` }));
      await Promise.all(some.map(async (client) => (await client).cut()));
    }
    const told = (message: string, count: string): number => {
      const rest = broker.logs.filter((line) => line.message.startsWith('more clients came'));
      const single = broker.logs.filter((line) => line.message === message).length;
      return rest.reduce((sum, { fields }) => sum + Number(fields[count]), single);
    };
    await eventually(
      () =>
        told('client connected', 'connected') === clients &&
        told('client disconnected', 'disconnected') === clients,
      `${clients} that came and went`,
    );
  });
});
