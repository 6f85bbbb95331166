/**
 * What is lost of messages that are published right behind a SUBSCRIBE by another connection, which
 * MQTT allows: `node dist/scripts/subscribe-race.js --workers 2 --rounds 600`. Each worker has one
 * client. In each round one of them writes a SUBSCRIBE to a topic that is new, and the next one, on
 * another worker, a PUBLISH to it at once, of QoS 0 and 1 in turn. A second message, behind the
 * SUBACK, tells when the first would have come. Between rounds all is quiet for `--pause` ms.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startBroker } from '../bench/support/broker-process.js';
import { OURS } from '../bench/support/peers.js';
import { publish, type QoS, subscribe } from '../test/support/packets.js';
import { TestClient, Type } from '../test/support/test-client.js';

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '600' },
    pause: { type: 'string', default: '3' },
  },
});
const [workers, rounds, pause] = [values.workers, values.rounds, values.pause].map(Number);

/** @returns how often the message came. */
async function playRound(
  subscriber: TestClient,
  publisher: TestClient,
  topic: string,
  qos: QoS,
): Promise<number> {
  const first = publish({ topic, payload: 'first', qos, ...(qos > 0 && { packetId: 1 }) });
  const second = publish({ topic, payload: 'second', qos: 1, packetId: 2 });
  const subscribing = subscribe(1, [topic, 1]);
  subscriber.raw.send(subscribing);
  publisher.raw.send(first);
  await subscriber.takeAck(Type.suback, 1);
  if (qos > 0) await publisher.takeAck(Type.puback, 1);
  publisher.raw.send(second);
  await publisher.takeAck(Type.puback, 2);
  await subscriber.until(() => subscriber.payloads.includes('second'), 'the second message');
  const came = subscriber.payloads.filter((payload) => payload === 'first').length;
  subscriber.messages.length = 0;
  return came;
}

const broker = await startBroker(
  'surgemq',
  OURS.kind === 'started' ? OURS.how : null!,
  workers,
  false,
);
try {
  const clients: TestClient[] = [];
  // A new connection goes to the worker that has the fewest.
  for (let index = 0; index < Math.max(workers, 2); index++)
    clients.push(await TestClient.connect(broker, { clientId: `client-${index}` }));
  const lost = [0, 0];
  let doubled = 0;
  for (let round = 0; round < rounds; round++) {
    await delay(pause);
    const at = (round >> 1) % clients.length;
    const qos = (round & 1) as QoS;
    const [subscriber, publisher] = [clients[at], clients[(at + 1) % clients.length]];
    const came = await playRound(subscriber, publisher, `race/${round}`, qos);
    if (came === 0) lost[qos]++;
    else if (came > 1) doubled++;
  }
  const percent = ((100 * (lost[0] + lost[1])) / rounds).toFixed(1);
  process.stdout.write(
    `${workers} workers, ${rounds} rounds: lost ${lost[0]} of QoS 0 and ${lost[1]} of QoS 1 ` +
      `(${percent} %), doubled ${doubled}\n`,
  );
} finally {
  await broker.close();
}
