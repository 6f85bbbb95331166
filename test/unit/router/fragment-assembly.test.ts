import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RecordError } from '../../../src/base/errors.js';
import { ASSEMBLED_BYTES_MAX, FragmentAssembly } from '../../../src/router/fragment-assembly.js';

describe('FragmentAssembly', () => {
  it('puts parts together in order', () => {
    const assembly = new FragmentAssembly();
    assembly.begin(10);
    assembly.add(Buffer.from('..hello'), 2, 7);
    assembly.add(Buffer.from('world'), 0, 5);
    assert.equal(assembly.take()?.toString(), 'helloworld');
  });

  it('forgets a record that was never finished when the next begins', () => {
    const assembly = new FragmentAssembly();
    assembly.begin(10);
    assembly.add(Buffer.from('half'), 0, 4);
    assembly.begin(4);
    assembly.add(Buffer.from('whole'), 0, 4);
    assert.equal(assembly.take()?.toString(), 'whol');
  });

  it('refuses a total beyond every packet before it takes memory for it', () => {
    const assembly = new FragmentAssembly();
    for (const total of [ASSEMBLED_BYTES_MAX + 1, 0, -1]) {
      assert.throws(() => assembly.begin(total), /at most/);
    }
  });

  it('refuses more bytes than were announced, fewer, and parts of nothing', () => {
    assert.throws(() => new FragmentAssembly().add(Buffer.from('x'), 0, 1), /first fragment/);
    assert.throws(() => new FragmentAssembly().take(), /completes/);
    const assembly = new FragmentAssembly();
    assembly.begin(3);
    assert.throws(() => assembly.add(Buffer.from('four'), 0, 4), RecordError);
    assembly.begin(3);
    assembly.add(Buffer.from('tw'), 0, 2);
    assert.throws(() => assembly.take(), RecordError);
  });

  it('says once that a record is broken, passes its other parts over, and takes the next', () => {
    const assembly = new FragmentAssembly();
    assembly.begin(3);
    assert.throws(() => assembly.add(Buffer.from('four'), 0, 4), /total/);
    assembly.add(Buffer.from('more'), 0, 4);
    assert.equal(assembly.take(), null);
    assembly.begin(4);
    assembly.add(Buffer.from('next'), 0, 4);
    assert.equal(assembly.take()?.toString(), 'next');
  });
});
