/** What `npm test` does about programs that the tests need and that are not there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planFor } from '../scripts/test-programs.js';

const PUB = '/usr/bin/mosquitto_pub';
const SUB = '/usr/bin/mosquitto_sub';
const BROKER = '/usr/sbin/mosquitto';
const ROOT_OF_DEBIAN = { hasApt: true, isRoot: true, hasSudo: false };

test('nothing is installed and nothing said when all programs are there', () => {
  const plan = planFor({ ...ROOT_OF_DEBIAN, missing: [] });
  assert.deepEqual(plan, { packages: [], complaint: null });
});

test('root, and a user whose sudo asks nothing, install the packages of what is missing', () => {
  const missing = [BROKER, PUB, SUB];
  for (const who of [ROOT_OF_DEBIAN, { hasApt: true, isRoot: false, hasSudo: true }]) {
    const plan = planFor({ ...who, missing });
    assert.deepEqual(plan, { packages: ['mosquitto', 'mosquitto-clients'], complaint: null });
  }
  assert.deepEqual(planFor({ ...ROOT_OF_DEBIAN, missing: [SUB] }).packages, ['mosquitto-clients']);
});

test('who may not install is told in one line what is missing and what to do', () => {
  const plan = planFor({ hasApt: true, isRoot: false, hasSudo: false, missing: [PUB, SUB] });
  assert.deepEqual(plan.packages, []);
  assert.equal(
    plan.complaint,
    `the tests need ${PUB}, ${SUB}, and this user may not install packages (neither root nor ` +
      'sudo without a password): tests of test/interop will fail without Mosquitto, and that of ' +
      "test/browser tells nothing without Chromium; install Debian's mosquitto-clients",
  );
  const elsewhere = planFor({ hasApt: false, isRoot: true, hasSudo: false, missing: [BROKER] });
  assert.match(elsewhere.complaint!, /mosquitto, and there is no apt-get here: .* mosquitto$/);
  assert.doesNotMatch(elsewhere.complaint!, /\n/);
});
