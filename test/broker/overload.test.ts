/** What is refused while there is too much to do: to whom, for how long, and what is said of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startBroker, unique } from '../support/broker.js';
import { connack, connect } from '../support/packets.js';
import { connect5, parseSaid } from '../support/packets5.js';
import { describeTheme } from '../support/suite.js';
import { eventually } from '../support/waiting.js';

describe('a worker whose event loop is late', () => {
  const authenticator = new URL('../support/blocking-authenticator.js', import.meta.url).href;
  const blocking = { username: 'u', password: '1500' };

  /**
   * Blocks the first worker for so long, and then has clients come, more than it has.
   * @returns whether all of them have their answers before it goes on.
   */
  async function isSpared(blockMs: number): Promise<boolean> {
    await using broker = await startBroker({ workers: 2, authenticator, maxLoopDelay: '250ms' });
    // On the first and the second worker.
    await broker.client();
    await broker.client();
    const late = await broker.raw();
    let isOver = false;
    late.send(connect({ clientId: unique('late'), username: 'u', password: `${blockMs}` }));
    const over = late.expect(connack(false, 0)).then(() => {
      isOver = true;
    });
    await delay(blockMs / 2);
    for (let n = 0; n < 4; n++) {
      const client = await broker.raw();
      client.send(connect({ clientId: unique('new') }));
      await client.readPacket('CONNACK').catch(() => {});
    }
    const wasOver = isOver;
    await over;
    return !wasOver && broker.server.stats().refusedConnections === 0;
  }

  test('is given no connections, others are', async () => {
    // On a busy machine the others may be late, too, and this process: the longer, the less so.
    const isSeen = (await isSpared(1_500)) || (await isSpared(4_000)) || (await isSpared(10_000));
    assert.ok(isSeen, 'clients waited for the worker that is late');
  });

  test('has new connections closed at once where there is no other', async () => {
    await using broker = await startBroker({ workers: 1, authenticator, maxLoopDelay: '250ms' });
    const late = await broker.raw();
    late.send(connect({ clientId: unique('late'), ...blocking }));
    const { server } = broker;
    while (server.stats().refusedConnections === 0) await (await broker.raw()).cut();
    const line = broker.logs.find(({ fields }) => fields.reason === 'max-loop-delay');
    assert.match(String(line?.fields.detail), /maxLoopDelay/);
    await late.expect(connack(false, 0));
    // It is over, and those who come are taken again.
    const isTaken = async () => {
      const client = await broker.raw();
      client.send(connect({ clientId: unique('new') }));
      await client.expect(connack(false, 0));
    };
    await assert.doesNotReject(async () => {
      for (let n = 0; ; n++) {
        try {
          return await isTaken();
        } catch (error) {
          if (n === 100) throw error;
        }
      }
    });
  });
});

describeTheme(
  'maxConnectionsPerUser',
  (theme) => {
    test('refuses one more of a user, on whichever worker, and says why', async () => {
      const { broker } = theme;
      const user = { username: unique('user'), password: 'x' };
      const first = await broker.client({ clientId: unique('u'), cleanSession: false, ...user });
      const second = unique('u');
      await broker.client({ clientId: second, ...user });
      const refused = await broker.raw();
      refused.send(connect({ clientId: unique('u'), ...user }));
      await refused.expect(connack(false, 3));
      await refused.expectClose();
      const refused5 = await broker.raw();
      refused5.send(connect5({ clientId: unique('u'), ...user }));
      assert.equal(parseSaid(await refused5.readPacket()).code, 0x97);
      assert.equal(broker.server.stats().refusedUserConnections >= 2, true);
      const isLogged = () =>
        broker.logs.some(({ fields }) => fields.reason === 'max-connections-per-user');
      await eventually(isLogged, 'a line in the log');
      // Of others, of nobody, and of one that takes its own place.
      await broker.client({ clientId: unique('other'), username: unique('user'), password: 'x' });
      await broker.client({ clientId: unique('nobody') });
      await broker.client({ clientId: second, ...user });
      // One that has left makes room, though its session is kept: when its worker has told so.
      await first.cut();
      const isLetIn = async () => {
        const next = await broker.raw();
        next.send(connect({ clientId: unique('u'), ...user }));
        const answer = await next.readPacket('CONNACK');
        return answer.equals(connack(false, 0));
      };
      await eventually(isLetIn, 'another to be let in');
    });
  },
  { maxConnectionsPerUser: 2, authenticator: 'mockSuccess' },
);
