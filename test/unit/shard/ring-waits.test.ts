/** What a client is told while the ring is full: a shard whose peer reads when the test says so. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { MADE_RUNS_BYTES_MAX } from '../../../src/base/limits.js';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { RecordKind } from '../../../src/router/records.js';
import { willRun } from '../../../src/sessions/will.js';
import { dropPeer } from '../../../src/shard/peers.js';
import { publishForProgram } from '../../../src/shard/program-publication.js';
import { listenerAt } from '../../support/listeners.js';
import {
  type ConnectFields,
  connect,
  PINGREQ,
  publish,
  pubrel,
  subscribe,
} from '../../support/packets.js';
import { RawClient } from '../../support/raw-client.js';
import { eventually } from '../../support/waiting.js';
import { makePeer, makeShard, RING_BYTES, type WholeShard } from './whole-shard.js';

const MESSAGES = 40;
/** All of them are more than twice what the ring holds. */
const PAYLOAD = 'x'.repeat((2.2 * RING_BYTES) / MESSAGES);
const FEW_TURNS = 20;
/** What its clients have come by, wherever that is. */
const LISTENER = 'tcp://127.0.0.1:1883';

type Record = [
  from: number,
  kind: number,
  word0: number,
  word1: number,
  word2: number,
  count: number,
];

describe('a client that feeds a ring which is full', () => {
  let whole: WholeShard;
  let peer: PeerLink;
  /** Messages that the peer has read. */
  let read: number;

  beforeEach(async () => {
    whole = await makeShard();
    peer = makePeer(whole);
    whole.shard.adoption.setListeners([listenerAt(LISTENER)]);
    read = 0;
    peerReads();
    whole.shard.topics.addShard('t', 1);
    whole.shard.routes.invalidate('t');
  });

  afterEach(() => {
    for (const { transport } of whole.shard.connections.values()) transport.destroy();
    peer.close();
    whole.close();
  });

  /** All that is visible to it. */
  function peerReads(): void {
    const onRecord = (...[, kind, , , , count]: Record): void => {
      if (kind === RecordKind.run) read += count;
    };
    while (peer.drain({ onRecord }, 4 * RING_BYTES) > 0);
    peer.flush();
    whole.shard.turn.schedule();
  }

  /** A socket of the shard. */
  async function dial(): Promise<RawClient> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const [client, [socket]] = await Promise.all([
      RawClient.open({ host: '127.0.0.1', port }),
      once(server, 'connection') as Promise<[Socket]>,
    ]);
    server.close();
    whole.shard.adoption.adopt(socket, { listener: LISTENER, place: -1, slot: 0 });
    return client;
  }

  /** A client of the shard: it notes what kinds of packets come, and with which packet ids. */
  async function open(
    clientId: string,
    from = -1,
    fields: ConnectFields = {},
  ): Promise<[client: RawClient, got: string[]]> {
    const { shard, said } = whole;
    const client = await dial();
    const got: string[] = [];
    client.onPacket = (packet) => {
      const type = packet[0]! >> 4;
      got.push(type === 2 || type === 13 ? `${type}` : `${type}:${packet.readUInt16BE(2)}`);
    };
    client.send(connect({ clientId, cleanSession: false, ...fields }));
    await eventually(() => said.some(({ kind }) => kind === 'claims'), 'a claim');
    for (const message of said.splice(0)) {
      if (message.kind !== 'claims') continue;
      for (const { claim } of message.claims) shard.takeover.onGranted(claim, from);
    }
    await eventually(() => got.length > 0, 'CONNACK');
    got.length = 0;
    return [client, got];
  }

  function messages(qos: 1 | 2, first = 1, dup = false): Buffer[] {
    return Array.from({ length: MESSAGES }, (_, n) => {
      return publish({ topic: 't', payload: PAYLOAD, qos, packetId: first + n, dup });
    });
  }

  async function turns(count = FEW_TURNS): Promise<void> {
    for (let n = 0; n < count; n++) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  const acks = (type: number, count = MESSAGES) =>
    Array.from({ length: count }, (_, n) => `${type}:${n + 1}`);

  test('is acknowledged what is on the ring, and the rest when that has room', async () => {
    const [client, got] = await open('c');
    client.send(...messages(1), PINGREQ);
    for (let rounds = 0; got.length <= MESSAGES; rounds++) {
      assert.ok(rounds < 1_000, `${got.length} answers`);
      const before = got.length;
      await turns(3);
      peerReads();
      assert.ok(read >= before, `${before} acknowledged, ${read} on their way`);
      assert.ok(read >= got.length || got.length > MESSAGES, `${got.length} of ${read}`);
    }
    assert.deepEqual(got, [...acks(4), '13']);
    assert.equal(read, MESSAGES);
  });

  test('is answered for nothing that is not on the ring', async () => {
    const [client, got] = await open('c');
    client.send(...messages(1), PINGREQ);
    await eventually(() => whole.shard.link.isFull, 'a full ring');
    await turns();
    const acknowledged = got.length;
    assert.ok(acknowledged < MESSAGES);
    peerReads();
    assert.ok(acknowledged <= read, `${acknowledged} acknowledged, ${read} on the ring`);
  });

  // Who has got it may publish what others must not get before it.
  test('is heard here by nobody before the others can hear it', async () => {
    const [subscriber, got] = await open('s');
    subscriber.send(subscribe(1, ['t', 0]));
    const [client] = await open('c');
    await eventually(
      () => [...whole.shard.topics.localFilters()].includes('t'),
      'the subscription',
    );
    for (const qos of [1, 2] as const) {
      got.length = 0;
      read = 0;
      client.send(...messages(qos));
      while (read < MESSAGES) {
        await turns(3);
        const delivered = got.length;
        peerReads();
        assert.ok(delivered <= read, `QoS ${qos}: ${delivered} delivered, ${read} on the ring`);
      }
      await eventually(() => got.length === MESSAGES, 'all of them');
    }
  });

  test('is answered when the reader that makes no room is dead', async () => {
    const [client, got] = await open('c');
    client.send(...messages(1), PINGREQ);
    await eventually(() => whole.shard.link.isFull, 'a full ring');
    dropPeer(whole.shard, 1);
    await eventually(() => got.length > MESSAGES, 'all answers');
    assert.deepEqual(got, [...acks(4), '13']);
  });

  // [MQTT-3.1.4-2]: its CONNACK says that the old connection is over.
  test('comes back when what it sent is on it, and is told of each message once', async () => {
    const [first] = await open('c');
    first.send(...messages(2));
    await eventually(() => whole.shard.link.isFull, 'a full ring');
    await first.cut();
    const opening = open('c', 0);
    let isBack = false;
    void opening.then(() => {
      isBack = true;
    });
    await turns();
    assert.equal(isBack, false);
    await eventually(() => {
      peerReads();
      return isBack;
    }, 'CONNACK');
    const [second, got] = await opening;
    second.send(...messages(2, 1, true));
    await eventually(() => {
      peerReads();
      return got.length === MESSAGES;
    }, 'all answers');
    peerReads();
    assert.deepEqual(got, acks(5));
    assert.equal(read, MESSAGES);
    second.send(pubrel(1));
    await eventually(() => got.includes('7:1'), 'PUBCOMP');
  });

  test('may leave while its acks wait, and others are answered', async () => {
    const [first] = await open('c');
    first.send(...messages(1));
    await eventually(() => whole.shard.link.isFull, 'a full ring');
    const [second, got] = await open('d');
    second.send(...messages(1), PINGREQ);
    await turns();
    await first.cut();
    await eventually(() => {
      peerReads();
      return got.length > MESSAGES;
    }, 'all answers');
    assert.deepEqual(got, [...acks(4), '13']);
  });

  const LONG = 60 * 1_024;
  const longWill = { topic: 't', payload: 'w'.repeat(LONG), qos: 1, retain: false } as const;

  // [MQTT-3.1.2-8]
  test('leaves a will that waits for room, with those of many others', async () => {
    const clients: RawClient[] = [];
    for (let n = 0; n < 20; n++) clients.push((await open(`c${n}`, -1, { will: longWill }))[0]);
    await Promise.all(clients.map((client) => client.cut()));
    const { shard } = whole;
    await eventually(() => shard.connections.size === 0, 'the shard to hear of it');
    await turns();
    assert.ok(shard.link.backlogBytes <= 2 * RING_BYTES, `${shard.link.backlogBytes} in front`);
    assert.ok(shard.router.made.bytes > 10 * LONG);
    let isCalled = false;
    shard.router.made.whenPublished(() => {
      isCalled = true;
      assert.equal(shard.link.backlogBytes, 0);
    });
    assert.equal(isCalled, false);
    await eventually(() => {
      peerReads();
      return isCalled;
    }, 'all to be on the ring');
    // Before anybody outside is told.
    shard.flushRing();
    peerReads();
    assert.equal(read, clients.length);
    assert.equal(shard.router.made.bytes, 0);
  });

  test('is not taken with a will while as much of others waits as may', async () => {
    const { shard } = whole;
    const run = willRun({ ...longWill, payload: Buffer.from(longWill.payload) });
    // Until it has looked at its peer's ring nothing is published.
    await turns();
    while (shard.router.made.bytes <= MADE_RUNS_BYTES_MAX) shard.router.publishRun(run, 't');
    const client = await dial();
    client.send(connect({ clientId: 'c', will: longWill }));
    assert.equal((await client.readPacket())[3], 3);
    await open('d');
    dropPeer(shard, 1);
    await eventually(() => shard.router.made.bytes === 0, 'room');
    await open('e', -1, { will: longWill });
  });

  test('a program that publishes without waiting is told when its messages are on it', async () => {
    const { shard } = whole;
    const messages = 1_000;
    const payload = new Uint8Array(1_000);
    const done: number[] = [];
    for (let n = 0; n < messages; n++) {
      const message = { topic: 't', payload, qos: 1, retain: false } as const;
      publishForProgram(shard, message, () => done.push(n));
    }
    await turns();
    assert.ok(shard.link.backlogBytes <= RING_BYTES);
    const published = done.length;
    assert.ok(published < messages);
    // Before anybody outside is told.
    shard.flushRing();
    peerReads();
    assert.ok(published <= read, `${published} published, ${read} on the ring`);
    await eventually(() => {
      peerReads();
      return done.length === messages;
    }, 'all to be published');
    shard.flushRing();
    peerReads();
    assert.equal(read, messages);
    assert.deepEqual(done, [...done.keys()]);
  });
});
