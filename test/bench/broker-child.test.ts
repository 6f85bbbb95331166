/** A broker that the benchmark and the kill harness start as a process of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokerChild } from '../../bench/support/broker-child.js';
import { freePort } from '../../bench/support/free-port.js';

/** Listens; at SIGTERM it ends at once, and something it has started speaks a moment later. */
const PROGRAM = `
  require('node:net').createServer().listen(Number(process.argv[1]), '127.0.0.1');
  process.on('SIGTERM', () => {
    const late = ['-c', 'sleep 0.3; echo late'];
    require('node:child_process').spawn('sh', late, { stdio: 'inherit' }).on('spawn', process.exit);
  });
`;

test('has said all that it says when it has ended', async () => {
  const port = await freePort();
  let said = '';
  const child = new BrokerChild({
    name: 'a broker',
    host: '127.0.0.1',
    port,
    command: [process.execPath, '-e', PROGRAM, String(port)],
    environment: {},
    onOutput: (text) => {
      said += text;
    },
  });
  await child.start();
  await child.end('SIGTERM');
  assert.equal(said, 'late\n');
  assert.equal(child.pid, null);
});
