/** What a client's socket says of a write that is not done. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { hasLeft, waitingBytesOf } from '../../../src/transport/socket-facts.js';
import { eventually, within } from '../../support/waiting.js';

const MIB = 1024 * 1024;
/** Far more than the kernel's buffers hold. */
const WRITTEN = 64 * MIB;

test('fewer bytes wait as the kernel takes them, though the write is not done', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const reader = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  const [writer] = (await once(server, 'connection')) as [Socket];
  try {
    let isDone = false;
    const done = new Promise<void>((resolve) => {
      writer.write(Buffer.alloc(WRITTEN), () => {
        isDone = true;
        resolve();
      });
    });
    assert.ok(waitingBytesOf(writer) > 0, 'all was taken');
    let read = 0;
    const quarter = new Promise<void>((resolve) => {
      reader.on('data', (bytes: Buffer) => {
        read += bytes.length;
        if (read < WRITTEN / 4) return;
        reader.pause();
        resolve();
      });
    });
    reader.resume();
    await within(quarter, 'a quarter of it');
    assert.equal(isDone, false);
    assert.ok(waitingBytesOf(writer) <= WRITTEN - read, 'what was read still waits');
    reader.removeAllListeners('data').resume();
    await within(done, 'the rest');
    assert.equal(waitingBytesOf(writer), 0);
  } finally {
    reader.destroy();
    writer.destroy();
    server.close();
  }
});

test('a client that closes its side has left, though nothing is read of it', async () => {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  try {
    client.write('something that nobody reads');
    assert.equal(hasLeft(socket), false);
    client.end();
    await once(client, 'finish');
    await eventually(() => hasLeft(socket), 'it to be told');
    assert.equal(socket.destroyed, false);
  } finally {
    client.destroy();
    socket.destroy();
    server.close();
  }
  assert.equal(hasLeft(socket), true);
});
