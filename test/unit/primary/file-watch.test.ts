import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { FileWatch } from '../../../src/primary/file-watch.js';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'surgemq-watch-'));
});
after(() => rmSync(folder, { recursive: true }));

test('files that have changed are told of once they stay alike, and once', async () => {
  const [path, other] = [join(folder, 'a'), join(folder, 'b')];
  writeFileSync(path, '1');
  let told = 0;
  const watch = new FileWatch(() => told++, 1_000_000);
  await watch.watch([path, other]);
  await watch.look();
  writeFileSync(path, '22');
  await watch.look();
  writeFileSync(other, 'x');
  await watch.look();
  assert.equal(told, 0, 'somebody still writes');
  await watch.look();
  await watch.look();
  assert.equal(told, 1);
  // As Kubernetes does it: a link to others.
  writeFileSync(join(folder, 'new'), '22');
  symlinkSync(join(folder, 'new'), join(folder, 'link'));
  renameSync(join(folder, 'link'), path);
  await watch.look();
  await watch.look();
  assert.equal(told, 2);
  rmSync(other);
  await watch.watch([path, other]);
  await watch.look();
  await watch.look();
  assert.equal(told, 2, 'what was read as it is now is no change');
  watch.close();
});
