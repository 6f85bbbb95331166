/** A shard that takes sockets and echoes what comes, all read into one buffer. */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import type { ToShard } from '../../src/shard/control.js';

/** What a hand-off worker starts with. */
export interface HandoffWorkerData {
  /**
   * Word 0: sockets taken; word 1: sockets open; word 2: while it is 1, the worker takes nothing.
   */
  readonly words: Int32Array<SharedArrayBuffer>;
}

const { words } = workerData as HandoffWorkerData;
const buffer = Buffer.alloc(4096);

function take(fd: number): void {
  Atomics.add(words, 0, 1);
  Atomics.add(words, 1, 1);
  const options: SocketConstructorOpts & { onread: OnReadOpts } = {
    fd,
    readable: true,
    writable: true,
    onread: {
      buffer,
      callback: (length) => socket.write(Buffer.from(buffer.subarray(0, length))),
    },
  };
  const socket: Socket = new Socket(options);
  attach(socket);
}

function attach(socket: Socket): void {
  socket.on('error', () => {});
  socket.on('end', () => socket.end());
  socket.on('close', () => Atomics.sub(words, 1, 1));
  socket.resume();
}

parentPort?.on('message', (message: ToShard) => {
  Atomics.wait(words, 2, 1);
  if (message.kind === 'descriptor') take(message.fd);
  if (message.kind === 'socket') {
    Atomics.add(words, 0, 1);
    Atomics.add(words, 1, 1);
    const { socket } = message;
    socket.on('data', (data) => socket.write(data));
    attach(socket);
  }
});
parentPort?.postMessage('ready');
