/** What a client is sent whose broker was killed while it was there. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ModelBroker, startProcess } from '../model/model-broker.js';
import { unique } from '../support/broker.js';
import { pubcomp, pubrec, pubrel } from '../support/packets.js';
import {
  connect5,
  filterAck5,
  parsePublish5,
  parseSaid,
  prop,
  publish5,
  subscribe5,
} from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';

const EXPIRY = prop.uint32(0x11, 3_600);

describe('a client whose broker was killed', () => {
  let broker: ModelBroker;
  before(async () => {
    broker = await startProcess(2);
  });
  after(() => broker.close());

  /** Takes its session, or begins one. */
  async function open(clientId: string, receiveMaximum: number): Promise<RawClient> {
    const client = await broker.raw();
    const properties = Buffer.concat([EXPIRY, prop.uint16(0x21, receiveMaximum)]);
    client.send(connect5({ clientId, cleanStart: false, properties }));
    assert.equal(parseSaid(await client.readPacket('CONNACK')).code, 0);
    return client;
  }

  /** Publishes these at QoS 2 in one write, so that they are one run, and until they are kept. */
  async function publishAll(topic: string, payloads: readonly string[]): Promise<void> {
    const publisher = await open(unique('publisher'), 10);
    const ids = payloads.map((_, at) => at + 1);
    publisher.send(
      ...payloads.map((payload, at) => publish5({ topic, payload, qos: 2, packetId: ids[at]! })),
    );
    for (const id of ids) await publisher.expect(pubrec(id));
  }

  // [MQTT-4.3.3-1]: the row of a run stays until all of it is acknowledged.
  test('gets nothing of QoS 2 twice of a run that is longer than its window', async () => {
    const clientId = unique('subscriber');
    const topic = unique('long');
    const first = await open(clientId, 2);
    first.send(subscribe5(1, [[topic, 2]]));
    await first.expect(filterAck5(0x90, 1, [2]));
    await publishAll(topic, ['a', 'b', 'c', 'd', 'e', 'f']);
    for (const ids of [
      [1, 2],
      [3, 4],
    ]) {
      for (const id of ids) {
        assert.equal(parsePublish5(await first.readPacket('PUBLISH')).packetId, id);
      }
      first.send(...ids.map(pubrec));
      for (const id of ids) await first.expect(pubrel(id));
      first.send(...ids.map(pubcomp));
    }
    await broker.process!.end(true);
    await broker.process!.start();
    const second = await open(clientId, 2);
    const got: string[] = [];
    while (got.length < 2) {
      const packet = await second.readPacket();
      if (packet[0]! >> 4 !== 3) {
        second.send(pubcomp(packet.readUInt16BE(2)));
        continue;
      }
      const { packetId, payload } = parsePublish5(packet);
      got.push(payload);
      second.send(pubrec(packetId));
    }
    assert.deepEqual(got, ['e', 'f']);
  });
});
