/**
 * A program for the acceptor test, started with a low limit of open files: an acceptor whose one
 * shard is this thread too. It answers whatever it is sent, and passes its log lines on. At `fill`
 * it waits for all clients to go and opens every descriptor that is left, at `free` it closes them.
 */
import { closeSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { devNull } from 'node:os';
import { silentLogger } from '../../../src/base/log.js';
import { Acceptor } from '../../../src/primary/acceptor.js';
import { DescriptorHandoff } from '../../../src/primary/handoff.js';
import { Placement } from '../../../src/primary/placement.js';
import { makeCounts, makeGate } from '../../support/gate.js';
import { listenerAt } from '../../support/listeners.js';

let taken = 0;
let open = 0;

function take(fd: number): void {
  taken++;
  open++;
  const socket = new Socket({ fd, readable: true, writable: true });
  socket.on('data', () => socket.write('!'));
  socket.on('error', () => {});
  socket.on('close', () => open--);
  socket.on('end', () => socket.end());
  socket.resume();
}

const filling: number[] = [];
process.on('message', (command) => {
  if (command === 'fill') fill();
  if (command === 'free') for (const fd of filling) closeSync(fd);
});

function fill(): void {
  // A connection that closes later would leave a descriptor free.
  if (open > 0) {
    setImmediate(fill);
    return;
  }
  try {
    for (;;) filling.push(openSync(devNull, 'r'));
  } catch {
    process.send?.({ filled: filling.length });
  }
}

const placement = new Placement(1, { taken: () => taken, open: () => open, isLate: () => false });
placement.setLive(0, true);
const acceptor = new Acceptor({
  logger: {
    ...silentLogger,
    warn: (fields, message) => process.send?.({ ...fields, message }),
  },
  placement,
  handoff: new DescriptorHandoff(
    (_shardIndex, message) => {
      if (message.kind === 'descriptor') setImmediate(take, message.fd);
      return true;
    },
    () => taken,
  ),
  gate: makeGate(1),
  counts: makeCounts(1),
  maxConnections: 1000,
  onListeners: () => {},
});
const { port } = await acceptor.listen(listenerAt('tcp://127.0.0.1:0'));
process.send?.({ port });
