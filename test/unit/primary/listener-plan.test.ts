import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../../src/base/config.js';
import { planListeners } from '../../../src/primary/listener-plan.js';

function at(...uris: string[]) {
  const options = { listen: uris, tlsCert: 'c', tlsKey: 'k' };
  return loadConfig(options, {}, {}).config.listeners;
}

function plan(before: string[], after: string[]): string[][] {
  const present = at(...before).map((wanted) => ({ wanted }));
  const { kept, opened, removed } = planListeners(present, at(...after));
  return [
    kept.map(([{ wanted }, config]) => `${wanted.uri} ${config.uri}`),
    opened.map(({ uri }) => uri),
    removed.map(({ wanted }) => wanted.uri),
  ];
}

describe('listeners of a reloaded configuration', () => {
  test('stay where they are named still, whatever their order', () => {
    assert.deepEqual(plan(['tcp://a:1', 'tcp://a:2'], ['tcp://a:3', 'tcp://a:2']), [
      ['tcp://a:2 tcp://a:2'],
      ['tcp://a:3'],
      ['tcp://a:1'],
    ]);
  });

  test('keep the socket where something else is spoken at the same address', () => {
    assert.deepEqual(plan(['tcp://a:1'], ['tls://a:1']), [['tcp://a:1 tls://a:1'], [], []]);
  });

  test('at ports of the choice of the system are told apart by their number', () => {
    const two = ['tcp://a:0', 'tcp://a:0'];
    assert.deepEqual(plan(two, ['tcp://a:0']), [['tcp://a:0 tcp://a:0'], [], ['tcp://a:0']]);
    assert.deepEqual(plan(['tcp://a:0'], ['tls://a:0']), [[], ['tls://a:0'], ['tcp://a:0']]);
  });
});
