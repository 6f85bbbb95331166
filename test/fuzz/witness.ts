/** A well-behaved pair of clients beside others that are not: they must notice nothing. */
import assert from 'node:assert/strict';
import type { Broker } from '../support/broker.js';
import { publish } from '../support/packets.js';
import { TestClient } from '../support/test-client.js';
import { eventually } from '../support/waiting.js';

const TOPIC = 'witness/topic';
/** Messages sent together. */
const BATCH = 20;

export class Witness {
  readonly #publisher: TestClient;
  readonly #subscriber: TestClient;
  #sent = 0;
  #faults: string[] = [];
  #received = 0;
  #isStopping = false;
  #running: Promise<void> = Promise.resolve();

  private constructor(publisher: TestClient, subscriber: TestClient) {
    this.#publisher = publisher;
    this.#subscriber = subscriber;
    subscriber.onMessage = ({ topic, payload, qos, retain, dup }) => {
      const isRight = topic === TOPIC && payload === `${this.#received}` && qos === 1;
      if (!isRight || retain || dup) this.#faults.push(`${topic}: ${payload.slice(0, 40)}`);
      this.#received++;
      subscriber.messages.length = 0;
    };
  }

  static async start(broker: Broker): Promise<Witness> {
    const subscriber = await TestClient.connect(broker, { clientId: 'witness-subscriber' });
    await subscriber.subscribe([TOPIC, 1]);
    const publisher = await TestClient.connect(broker, { clientId: 'witness-publisher' });
    const witness = new Witness(publisher, subscriber);
    // A failure is `stop`'s to say: until then nobody waits for it.
    witness.#running = witness.#run();
    witness.#running.catch(() => {});
    return witness;
  }

  async #run(): Promise<void> {
    const publisher = this.#publisher;
    while (!this.#isStopping) {
      const ids = Array.from({ length: BATCH }, () => publisher.nextPacketId());
      publisher.raw.send(
        ...ids.map((packetId) =>
          publish({ topic: TOPIC, payload: `${this.#sent++}`, qos: 1, packetId }),
        ),
      );
      await publisher.until(() => publisher.acks.length >= BATCH, 'the acknowledgements');
      assert.deepEqual(
        publisher.acks.splice(0).map(({ packetId }) => packetId),
        ids,
        'acknowledged in order',
      );
    }
  }

  /** Stops publishing and says what was seen. @throws AssertionError when anything was odd. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
    await eventually(() => this.#received >= this.#sent, 'all that was acknowledged');
    assert.deepEqual(this.#faults, []);
    assert.equal(this.#received, this.#sent);
    assert.ok(this.#sent > BATCH, 'the witness has seen something');
    await this.#subscriber.ping();
    await this.#subscriber.disconnect();
    await this.#publisher.disconnect();
  }
}
