/** Room on the disk that is there before it is needed. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { STORE_RESERVE_BYTES } from '../../../src/base/limits.js';
import { DiskReserve } from '../../../src/store/disk-reserve.js';
import { temporaryFolder } from './temporary-store.js';

describe('room on the disk', () => {
  test('is set aside behind the end of a file, which stays as long as it is', (context) => {
    const path = join(temporaryFolder(context), 'file');
    const reserve = new DiskReserve(path);
    reserve.ensure(1_000_000);
    const { size, blocks } = statSync(path);
    assert.equal(size, 0);
    assert.ok(blocks * 512 >= 1_000_000 + STORE_RESERVE_BYTES);
    reserve.ensure(STORE_RESERVE_BYTES);
    assert.equal(statSync(path).blocks, blocks);
    reserve.close();
  });

  test('that is not there is refused by name, and what there is serves others', (context) => {
    const path = join(temporaryFolder(context), 'file');
    const reserve = new DiskReserve(path);
    const what = /^the (?:disk is full|file is as large as it may be) \(.*file\)$/;
    assert.throws(() => reserve.ensure(2 ** 52), { name: 'DiskFullError', message: what });
    reserve.ensure(1_000);
    reserve.close();
  });
});
