/** What the store has of a session that ends with its shard. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { connect, DISCONNECT } from '../support/packets.js';
import { connect5, filterAck5, parseSaid, prop, subscribe5 } from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';
import { within } from '../support/waiting.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** A client id that begins with `lethal` is the death of its shard. */
const authenticator = new URL('../support/lethal-authenticator.js', import.meta.url).href;

/** Connects by Clean Start 0; the client, and whether there was a session. */
async function open(
  broker: Broker,
  clientId: string,
  expiry: number,
): Promise<[client: RawClient, sessionPresent: boolean]> {
  const client = await broker.raw();
  client.send(connect5({ clientId, cleanStart: false, properties: prop.uint32(0x11, expiry) }));
  const { code, sessionPresent } = parseSaid(await client.readPacket('CONNACK'));
  assert.equal(code, 0);
  return [client, sessionPresent];
}

async function killOne(broker: Broker): Promise<void> {
  const started = within(once(broker.server, 'shardStarted'), 'a successor');
  const killer = await broker.raw();
  killer.send(connect({ clientId: unique('lethal') }));
  await started;
}

/** What `surgemq store check` finds. */
async function check(dataDir: string): Promise<string> {
  const child = spawn(process.execPath, [MAIN, 'store', 'check', '--data-dir', dataDir]);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said += chunk;
    });
  }
  await once(child, 'close');
  return said;
}

// [MQTT-3.1.2-23]: its number is given again after a start, and with it what was left behind.
test('a session that ends with its shard leaves nothing in the store', async (context) => {
  const dataDir = temporaryFolder(context);
  const options = { workers: 1, authenticator, sessionsProvider: 'lmdb', dataDir };
  const broker = await startBroker(options);
  try {
    const clientId = unique('ends');
    const [first] = await open(broker, clientId, 3_600);
    first.send(subscribe5(1, [[unique('t'), 1]]));
    await first.expect(filterAck5(0x90, 1, [1]));
    first.send(DISCONNECT);
    await first.expectClose();
    const [second, wasThere] = await open(broker, clientId, 0);
    assert.equal(wasThere, true);
    await killOne(broker);
    await second.untilClosed();
    const [, isThere] = await open(broker, clientId, 3_600);
    assert.equal(isThere, false);
  } finally {
    await broker.close();
  }
  assert.match(await check(dataDir), /nothing is wrong/);
});
