/** `$SYS/` is the server's own: the program that embeds it publishes there, clients do not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import { describeTheme } from '../support/suite.js';

describeTheme('topics of the server', (theme) => {
  test('what the program publishes to $SYS/ arrives, what a client does not', async () => {
    const { broker } = theme;
    const watcher = await broker.client({ clientId: unique('watcher') });
    await watcher.subscribe(['$SYS/#', 1], ['end', 1]);
    const mortal = await broker.client({
      clientId: unique('mortal'),
      will: { topic: '$SYS/will', payload: 'not this' },
    });
    await mortal.publish('$SYS/client', 'nor this', { qos: 1 });
    await mortal.publish('end', 'client', { qos: 1 });
    await mortal.cut();
    assert.equal((await watcher.nextMessage()).payload, 'client');
    await broker.server.publish({ topic: '$SYS/server', payload: 'this', qos: 1 });
    assert.equal((await watcher.nextMessage()).payload, 'this');
  });
});
