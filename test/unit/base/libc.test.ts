import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fstatSync, readdirSync, readSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';
import { closeDescriptor, createPipe, duplicateDescriptor } from '../../../src/base/libc.js';

describe('libc', () => {
  it('makes a pipe that carries bytes and does not block', () => {
    const { readFd, writeFd } = createPipe();
    const buffer = Buffer.alloc(8);
    assert.throws(() => readSync(readFd, buffer), /EAGAIN/);
    writeSync(writeFd, 'ring');
    assert.equal(readSync(readFd, buffer), 4);
    assert.equal(buffer.toString('latin1', 0, 4), 'ring');
    closeDescriptor(readFd);
    closeDescriptor(writeFd);
  });

  it('duplicates a descriptor: another number, the same file', () => {
    const { readFd, writeFd } = createPipe();
    const duplicate = duplicateDescriptor(writeFd);
    assert.notEqual(duplicate, writeFd);
    assert.equal(fstatSync(duplicate).ino, fstatSync(writeFd).ino);
    closeDescriptor(writeFd);
    writeSync(duplicate, 'still open');
    assert.equal(readSync(readFd, Buffer.alloc(16)), 10);
    closeDescriptor(duplicate);
    closeDescriptor(readFd);
  });

  it('keeps its descriptors from programs that are started', async () => {
    const { readFd, writeFd } = createPipe();
    const fds = [readFd, writeFd, duplicateDescriptor(readFd)];
    const child = spawn('/bin/sh', ['-c', 'ls /dev/fd']);
    let listed = '';
    child.stdout.on('data', (data) => (listed += String(data)));
    await once(child, 'close');
    const seen = listed.trim().split(/\s+/).map(Number);
    assert.ok(seen.includes(0));
    for (const fd of fds) {
      assert.ok(!seen.includes(fd), `${fd} of ${seen}`);
      closeDescriptor(fd);
    }
  });

  it('names the errno of a call that failed', () => {
    assert.throws(() => duplicateDescriptor(2 ** 30), { name: 'LibcError', code: 'EBADF' });
  });

  it('leaves nothing open', () => {
    const before = readdirSync('/dev/fd').length;
    for (let time = 0; time < 50; time++) {
      const { readFd, writeFd } = createPipe();
      closeDescriptor(duplicateDescriptor(readFd));
      closeDescriptor(readFd);
      closeDescriptor(writeFd);
    }
    assert.equal(readdirSync('/dev/fd').length, before);
  });
});
