import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Broker, startBroker } from '../support/broker.js';
import { connect } from '../support/packets.js';
import { proxyV1, proxyV2 } from '../support/proxy-headers.js';
import { RawClient } from '../support/raw-client.js';
import { eventually } from '../support/waiting.js';

const CONNACK = '20 02 00 00';

/** A proxy's connection for a client of this address, on any shard. */
async function dial(broker: Broker, header: Buffer): Promise<RawClient> {
  const client = await RawClient.open(broker);
  client.send(Buffer.concat([header, connect()]));
  return client;
}

function ipv6Header(network: string): Buffer {
  const body = Buffer.alloc(36);
  Buffer.from(network, 'hex').copy(body);
  return proxyV2(0x21, 0x21, body);
}

describe('limits by address', () => {
  it('count the clients of a proxy by the address that it says, over all workers', async () => {
    await using broker = await startBroker({
      workers: 3,
      proxyProtocolFrom: ['127.0.0.1'],
      maxConnectionsPerAddress: 4,
    });
    const clients: RawClient[] = [];
    for (let open = 0; open < 4; open++) {
      const client = await dial(broker, proxyV1('198.51.100.7'));
      await client.expect(CONNACK);
      clients.push(client);
    }
    for (let more = 0; more < 3; more++) {
      const client = await dial(broker, proxyV1('198.51.100.7'));
      await client.expectClose();
    }
    // A client may see the end before it is counted.
    const closed = () => broker.server.stats().closed['address-limit'];
    await eventually(() => closed() >= 3, 'all to be counted');
    assert.equal(closed(), 3);
    const detail = broker.logs.find(({ fields }) => fields.reason === 'address-limit')?.fields
      .detail;
    assert.equal(detail, '198.51.100.7 has 4: see maxConnectionsPerAddress');
    const other = await dial(broker, proxyV1('198.51.100.8'));
    await other.expect(CONNACK);
    await clients[0].cut();
    await eventually(() => broker.server.stats().connectionsOpen === 4, 'one to be gone');
    const again = await dial(broker, proxyV1('198.51.100.7'));
    await again.expect(CONNACK);
    for (const client of [...clients, other, again]) await client.cut();
  });

  it('count an IPv6 /64 network as one', async () => {
    await using broker = await startBroker({
      proxyProtocolFrom: ['127.0.0.1'],
      maxConnectionsPerAddress: 1,
    });
    const first = await dial(broker, ipv6Header('20010db800010002aaaaaaaaaaaaaaaa'));
    await first.expect(CONNACK);
    const same = await dial(broker, ipv6Header('20010db800010002bbbbbbbbbbbbbbbb'));
    await same.expectClose();
    const next = await dial(broker, ipv6Header('20010db800010003aaaaaaaaaaaaaaaa'));
    await next.expect(CONNACK);
    for (const client of [first, next]) await client.cut();
  });

  it('hold the rate of one address, and of all', async () => {
    for (const setting of ['connectRatePerAddress', 'connectRate'] as const) {
      await using broker = await startBroker({ proxyProtocolFrom: ['127.0.0.1'], [setting]: 2 });
      const startedAt = performance.now();
      const clients = await Promise.all(
        Array.from({ length: 20 }, (_, at) =>
          dial(broker, proxyV1(setting === 'connectRate' ? `198.51.100.${at}` : '198.51.100.7')),
        ),
      );
      const areIn = await Promise.all(
        clients.map((client) =>
          client.expect(CONNACK).then(
            () => true,
            () => false,
          ),
        ),
      );
      const count = areIn.filter((isIn) => isIn).length;
      const seconds = (performance.now() - startedAt) / 1_000;
      assert.ok(count >= 2 && count <= 2 + 2 * seconds, `${count} in ${seconds} s`);
      await eventually(
        () => broker.server.stats().closed['address-limit'] === 20 - count,
        'the others to be counted',
      );
      for (const client of clients) await client.cut();
    }
  });

  it('do not hold for loopback, where gateways, bridges and tests share one address', async () => {
    await using broker = await startBroker({
      maxConnectionsPerAddress: 1,
      connectRatePerAddress: 1,
      connectRate: 1,
    });
    for (let open = 0; open < 5; open++) await broker.client();
    assert.equal(broker.server.stats().refusedConnections, 0);
  });

  it('give back what a dead worker had', async () => {
    const lethal = new URL('../support/lethal-authenticator.js', import.meta.url).href;
    await using broker = await startBroker({
      workers: 2,
      proxyProtocolFrom: ['127.0.0.1'],
      maxConnectionsPerAddress: 2,
      authenticator: lethal,
    });
    const header = proxyV1('198.51.100.7');
    const clients: RawClient[] = [];
    for (let open = 0; open < 2; open++) {
      const client = await dial(broker, header);
      await client.expect(CONNACK);
      clients.push(client);
    }
    const live = new Promise((resolve) => broker.server.once('shardStarted', resolve));
    const killer = await RawClient.open(broker);
    killer.send(
      Buffer.concat([proxyV1('198.51.100.9'), connect({ clientId: 'lethal', username: 'die' })]),
    );
    await killer.untilClosed();
    await live;
    const lost = clients.filter((client) => client.isClosed);
    assert.equal(lost.length, 1);
    const again = await dial(broker, header);
    await again.expect(CONNACK);
    const refused = await dial(broker, header);
    await refused.expectClose();
    for (const client of [...clients, again]) await client.cut();
  });
});
