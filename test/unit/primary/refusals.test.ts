import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../src/base/log.js';
import { RefusalReason, Refusals } from '../../../src/primary/refusals.js';

const INTERVAL_MS = 1000;

describe('Refusals', () => {
  it('logs the first at once, the rest once an interval with their number, then rests', (test) => {
    test.mock.timers.enable({ apis: ['setTimeout'] });
    const lines: object[] = [];
    const logger = { ...silentLogger, warn: (fields: object) => lines.push(fields) };
    const refusals = new Refusals(logger, INTERVAL_MS);
    const reason = RefusalReason.descriptorsExhausted;
    for (let time = 0; time < 100; time++) refusals.add(reason, `detail ${time}`);
    refusals.add(RefusalReason.maxConnections, 'the limit is 5');
    assert.deepEqual(lines, [{ reason, count: 1, detail: 'detail 0' }]);
    test.mock.timers.tick(INTERVAL_MS - 1);
    assert.equal(lines.length, 1);
    test.mock.timers.tick(1);
    assert.deepEqual(lines.slice(1), [
      { reason, count: 99, detail: 'detail 99' },
      { reason: RefusalReason.maxConnections, count: 1, detail: 'the limit is 5' },
    ]);
    test.mock.timers.tick(INTERVAL_MS);
    assert.equal(lines.length, 3);
    refusals.add(reason, 'later');
    assert.equal(lines.length, 4, 'the first after a rest is logged at once again');
    refusals.add(reason, 'last');
    refusals.close();
    assert.equal(lines.length, 5);
    assert.equal(refusals.total, 103);
  });
});
