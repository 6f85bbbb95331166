import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { describe, it } from 'node:test';
import { closeDescriptor, createPipe } from '../../../src/base/libc.js';
import { DoorbellReader, ringDoorbell } from '../../../src/router/doorbell.js';
import { within } from '../../support/waiting.js';

/** Longer than any pipe: 64 KiB on Linux, less elsewhere. */
const PIPE_BYTES = 1 << 20;

describe('doorbell', () => {
  it('calls back when it is rung, again and again', async () => {
    const { readFd, writeFd } = createPipe();
    let onRung: () => void = () => {};
    const reader = new DoorbellReader(readFd, () => onRung());
    for (let time = 0; time < 3; time++) {
      const rung = new Promise<void>((resolve) => {
        onRung = resolve;
      });
      ringDoorbell(writeFd);
      await within(rung, 'the doorbell');
    }
    reader.close();
    closeDescriptor(writeFd);
  });

  it('does not block or throw on a pipe that is full', () => {
    const { readFd, writeFd } = createPipe();
    assert.throws(() => {
      for (let written = 0; written < PIPE_BYTES; ) {
        written += writeSync(writeFd, Buffer.alloc(4096));
      }
    }, /EAGAIN/);
    ringDoorbell(writeFd);
    closeDescriptor(readFd);
    closeDescriptor(writeFd);
  });

  it('ignores a reader that has died, and an end that is closed', () => {
    const { readFd, writeFd } = createPipe();
    closeDescriptor(readFd);
    ringDoorbell(writeFd);
    closeDescriptor(writeFd);
    ringDoorbell(2 ** 30);
    ringDoorbell(-1);
  });
});
