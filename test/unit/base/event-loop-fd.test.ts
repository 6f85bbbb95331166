import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { findEventLoopFd } from '../../../src/base/event-loop-fd.js';
import { closeDescriptor, createPipe, findReadable } from '../../../src/base/libc.js';
import { DoorbellReader, ringDoorbell } from '../../../src/router/doorbell.js';

describe('the descriptor of an event loop', () => {
  it('is found on Linux by what the loop waits for, and readable when that is', async () => {
    const { readFd, writeFd } = createPipe();
    const doorbell = new DoorbellReader(readFd, () => {});
    await nextTurn();
    await nextTurn();
    const fd = findEventLoopFd(readFd);
    assert.equal(fd > 0, process.platform === 'linux');
    ringDoorbell(writeFd);
    assert.equal(findReadable(Int32Array.of(fd), 1), fd > 0 ? 0 : -1);
    doorbell.close();
    closeDescriptor(writeFd);
  });

  it('is not found by what no loop waits for', () => {
    const { readFd, writeFd } = createPipe();
    assert.equal(findEventLoopFd(readFd), -1);
    assert.equal(findEventLoopFd(-1), -1);
    closeDescriptor(readFd);
    closeDescriptor(writeFd);
  });
});

describe('findReadable', () => {
  it('finds the first that has something, and none where none has', () => {
    const pipes = [createPipe(), createPipe(), createPipe()];
    const fds = Int32Array.from(pipes, ({ readFd }) => readFd);
    assert.equal(findReadable(fds, 3), -1);
    ringDoorbell(pipes[2]!.writeFd);
    assert.equal(findReadable(fds, 2), -1);
    assert.equal(findReadable(fds, 3), 2);
    ringDoorbell(pipes[1]!.writeFd);
    assert.equal(findReadable(fds, 3), 1);
    for (const { readFd, writeFd } of pipes) {
      closeDescriptor(readFd);
      closeDescriptor(writeFd);
    }
  });

  it('finds nothing on a descriptor that is not open', () => {
    assert.equal(findReadable(Int32Array.of(2 ** 30), 1), -1);
  });
});
