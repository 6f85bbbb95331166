/** A client's plain descriptor, over a connection of the loopback interface. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { duplicateDescriptor } from '../../../src/base/libc.js';
import { DescriptorTransport } from '../../../src/transport/descriptor-transport.js';
import { eventually, within } from '../../support/waiting.js';

const LISTENER = 'tcp://127.0.0.1:1883';

describe('a descriptor transport', () => {
  const readBuffer = Buffer.alloc(1_024);
  let server: Server;
  let client: Socket;
  let transport: DescriptorTransport;
  let got: string;
  let said: string[];
  let gone: Promise<void>;

  beforeEach(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => {});
    const [accepted] = (await once(server, 'connection')) as [Socket];
    const { fd } = (accepted as Socket & { readonly _handle: { readonly fd: number } })._handle;
    transport = new DescriptorTransport(duplicateDescriptor(fd), readBuffer, LISTENER);
    accepted.destroy();
    got = '';
    said = [];
    gone = new Promise((resolve) => {
      transport.owner = {
        onRead(length) {
          got += readBuffer.toString('latin1', 0, length);
          return true;
        },
        onEnd: () => void said.push('end'),
        charge: () => false,
        onFault: (reason) => void said.push(reason),
        onTransportClosed() {
          said.push('closed');
          resolve();
        },
      };
    });
  });

  afterEach(() => {
    client.destroy();
    transport.destroy();
    server.close();
  });

  test('tells its owner of bytes and of the end, and who is there', async () => {
    const { localPort } = client;
    assert.deepEqual(transport.peer, {
      address: '127.0.0.1',
      port: localPort,
      listener: LISTENER,
      certificate: null,
    });
    client.end('hello');
    await eventually(() => said.length > 0, 'the end');
    assert.deepEqual([got, said], ['hello', ['end']]);
    transport.end();
    await within(gone, 'the close');
    assert.deepEqual(said, ['end', 'closed']);
  });

  test('writes and reads past the stream', async () => {
    transport.pause();
    assert.equal(transport.readNow(readBuffer, 0, 10), 0);
    client.write('abc');
    let length = 0;
    const hasRead = (): boolean => {
      length = transport.readNow(readBuffer, 1, 10);
      return length > 0;
    };
    await eventually(hasRead, 'bytes');
    assert.equal(readBuffer.toString('latin1', 1, 1 + length), 'abc');
    assert.equal(transport.writeNow(Buffer.from('0123456'), 2, 5), 3);
    const [bytes] = (await once(client, 'data')) as [Buffer];
    assert.equal(bytes.toString(), '234');
  });

  test('leaves a write that fails to the stream, which closes it once', async () => {
    client.resetAndDestroy();
    await once(client, 'close');
    assert.equal(transport.writeNow(Buffer.from('a'), 0, 1), 0);
    assert.equal(transport.readNow(readBuffer, 0, 1), -1);
    assert.equal(transport.writeNow(Buffer.from('a'), 0, 1), 0);
    transport.write(Buffer.from('a'), () => {});
    await within(gone, 'the close');
    assert.deepEqual(said, ['closed']);
  });

  test('writes and reads nothing once it is destroyed, as its number may be another', () => {
    transport.destroy();
    assert.equal(transport.isDestroyed, true);
    assert.equal(transport.writeNow(Buffer.from('a'), 0, 1), 0);
    assert.equal(transport.readNow(readBuffer, 0, 1), -1);
  });
});
