import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CloseReason } from '../../../src/base/errors.js';
import { duplicateDescriptor } from '../../../src/base/libc.js';
import { AddressLimits } from '../../../src/transport/address-limits.js';
import { AddressTable } from '../../../src/transport/address-table.js';
import { DescriptorTransport } from '../../../src/transport/descriptor-transport.js';
import { MovedTransport } from '../../../src/transport/moved-transport.js';
import { ProxyTransport } from '../../../src/transport/proxy-transport.js';
import { proxyV1, proxyV2 } from '../../support/proxy-headers.js';
import { eventually, within } from '../../support/waiting.js';

const LISTENER = 'tcp://127.0.0.1:0';
const readBuffer = Buffer.alloc(65_536);

for (const kind of ['a descriptor', 'a socket that the runtime moved'] as const) {
  describe(`a connection by a proxy, as ${kind}`, () => {
    let server: Server;
    let client: Socket;
    let limits: AddressLimits;
    let transport: ProxyTransport;
    let got: string;
    let said: string[];
    let closed: Promise<void>;

    beforeEach(async () => {
      server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      client = connect((server.address() as AddressInfo).port, '127.0.0.1');
      client.on('error', () => {});
      client.resume();
      const [accepted] = (await once(server, 'connection')) as [Socket];
      const values = { maxConnectionsPerAddress: 1, connectRatePerAddress: 0, connectRate: 0 };
      limits = new AddressLimits(AddressTable.createMemory(1), 1, values);
      const { fd } = (accepted as Socket & { readonly _handle: { readonly fd: number } })._handle;
      const own = kind === 'a descriptor' ? duplicateDescriptor(fd) : accepted;
      if (typeof own === 'number') accepted.destroy();
      transport = new ProxyTransport(own, {
        listener: LISTENER,
        limits,
        shardIndex: 0,
        make: (lower) =>
          typeof lower === 'number'
            ? new DescriptorTransport(lower, readBuffer, LISTENER)
            : new MovedTransport(lower, readBuffer, LISTENER),
      });
      got = '';
      said = [];
      closed = new Promise((resolve) => {
        transport.owner = {
          onRead(length) {
            got += readBuffer.toString('latin1', 0, length);
            return true;
          },
          onEnd: () => void said.push('end'),
          charge: () => false,
          onFault(reason) {
            said.push(reason);
            transport.end();
          },
          onTransportClosed: () => resolve(),
        };
      });
    });

    afterEach(async () => {
      client.destroy();
      transport.destroy();
      await within(closed, 'the transport to be closed');
      server.close();
    });

    it('reads the header and hands on what follows, byte by byte or at once', async () => {
      const bytes = Buffer.concat([proxyV1('198.51.100.7'), Buffer.from('what follows')]);
      for (const byte of bytes.subarray(0, 20)) {
        client.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      client.write(bytes.subarray(20));
      await eventually(() => got === 'what follows', 'what follows');
      const { address, port, listener } = transport.peer;
      assert.deepEqual([address, port, listener], ['198.51.100.7', 56_324, LISTENER]);
      client.write(', and more');
      await eventually(() => got === 'what follows, and more', 'more');
      const answer = once(client, 'data');
      transport.write(Buffer.from('answer'), () => {});
      assert.equal(String((await within(answer, 'the answer'))[0]), 'answer');
    });

    it('counts its address until it is closed', async () => {
      client.write(proxyV1('198.51.100.7'));
      await eventually(() => transport.peer.address === '198.51.100.7', 'its address');
      assert.ok(limits.enter('198.51.100.7', 0) < -1, 'it is one too many');
      client.destroy();
      await eventually(() => said.includes('end') || transport.isDestroyed, 'its end');
      transport.destroy();
      await within(closed, 'the transport to be closed');
      assert.ok(limits.enter('198.51.100.7', 0) >= 0);
    });

    it('is closed for a wrong header, for a limit, or when it leaves', async () => {
      client.write(proxyV2(0x11, 0x11, Buffer.alloc(12)));
      await within(closed, 'the transport to be closed');
      assert.deepEqual(said, [CloseReason.proxyHeader]);
      assert.equal(transport.isDestroyed, true);
      assert.equal(got, '');
    });

    it('is closed where its address has too many', async () => {
      const place = limits.enter('198.51.100.7', 0);
      client.write(Buffer.concat([proxyV1('198.51.100.7'), Buffer.from('what follows')]));
      await within(closed, 'the transport to be closed');
      assert.deepEqual(said, [CloseReason.addressLimit]);
      limits.leave(place, 0);
      assert.ok(limits.enter('198.51.100.7', 0) >= 0, 'it was not counted');
    });

    it('hears of the end of one that leaves within its header', async () => {
      client.end('PROXY');
      await eventually(() => said.includes('end'), 'its end');
      transport.destroy();
      await within(closed, 'the transport to be closed');
    });
  });
}
