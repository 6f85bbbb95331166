/** Twenty clients that subscribe to very many filters again and again, and others beside them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBroker } from '../support/broker.js';

const FLOODERS = 20;
const FILTERS = 2_000;
/** Round trips of each quiet client while the others go on. */
const ROUND_TRIPS = 10;

test('clients that repeat a SUBSCRIBE of very many filters leave the others served', async () => {
  await using broker = await startBroker({ workers: 2 });
  // On both workers, as all the others.
  const quiet = [await broker.client(), await broker.client()];
  const [reader, writer] = quiet;
  await reader.subscribe(['quiet', 1]);
  let isOver = false;
  const flood = async (index: number): Promise<number> => {
    const client = await broker.client();
    const filters = Array.from({ length: FILTERS }, (_, n): [string, number] => [
      `flood/${index}/${n}/+`,
      0,
    ]);
    let subacks = 0;
    // It does not end by itself: it ends when the quiet ones have had what they asked for.
    while (!isOver) {
      const codes = await client.subscribe(...filters);
      assert.ok(codes.length === FILTERS && codes.every((code) => code === 0));
      subacks++;
      await client.unsubscribe(...filters.map(([filter]) => filter));
    }
    return subacks;
  };
  const floods = Array.from({ length: FLOODERS }, (_, index) => flood(index));
  for (let trip = 0; trip < ROUND_TRIPS; trip++) {
    await Promise.all(quiet.map((client) => client.ping()));
    await writer.publish('quiet', `${trip}`, { qos: 1 });
    assert.equal((await reader.nextMessage()).payload, `${trip}`);
  }
  isOver = true;
  const subacks = await Promise.all(floods);
  assert.ok(subacks.every((count) => count > 0));
  assert.equal(broker.server.stats().shardDeaths, 0);
});
