import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { readdirSync } from 'node:fs';
import { afterEach, describe, test } from 'node:test';
import { loadConfig } from '../../../src/base/config.js';
import { Counter, Counters, sumCounters } from '../../../src/base/counters.js';
import { SHARD_DEATHS_MAX } from '../../../src/base/limits.js';
import { NO_MATERIALS } from '../../../src/base/materials.js';
import { Supervisor, type SupervisorTimeouts } from '../../../src/primary/supervisor.js';
import type { ToPrimary, ToShard } from '../../../src/shard/control.js';
import { FAKE_START, FAKE_TOPIC } from '../../support/fake-shard-worker.js';

const workerUrl = new URL('../../support/fake-shard-worker.js', import.meta.url);

/** A supervisor of fake shards, and everything that it and they said. */
class Watched {
  readonly supervisor: Supervisor;
  readonly events = new EventEmitter();
  readonly said: string[] = [];
  /** Messages that reached each shard, in order. */
  readonly got: ToShard[][];
  readonly logged: { level: string; message: string }[] = [];

  constructor(workers: number, mode: string, timeouts: Partial<SupervisorTimeouts> = {}) {
    this.got = Array.from({ length: workers }, () => []);
    const { config } = loadConfig({ workers, ringBytes: 65_536 }, {}, {});
    const say = (name: string, ...values: unknown[]) => {
      this.said.push([name, ...values.map(String)].join(' '));
      this.events.emit(name, ...values);
    };
    const log = (level: string) => (_fields: object, message: string) => {
      this.logged.push({ level, message });
    };
    this.supervisor = new Supervisor({
      config: { ...config, topics: mode },
      materials: NO_MATERIALS,
      logger: {
        debug: log('debug'),
        info: log('info'),
        warn: log('warn'),
        error: log('error'),
      },
      workerUrl,
      timeouts,
      events: {
        onMessage: (shardIndex, message) => this.#onMessage(shardIndex, message),
        onLaunched: (shardIndex) => say('launched', shardIndex),
        onLive: (shardIndex) => say('live', shardIndex),
        onDead: (shardIndex, cause) => say('dead', shardIndex, cause.message),
        onThreadGone: (shardIndex) => say('gone', shardIndex),
        onFailed: (error) => say('failed', error.message),
      },
    });
  }

  #onMessage(shardIndex: number, message: ToPrimary): void {
    if (message.kind === 'log' && message.message === 'fake') {
      this.got[shardIndex].push(message.fields.got as ToShard);
      this.events.emit('got', shardIndex, message.fields.got);
    } else {
      this.events.emit(message.kind, shardIndex, message);
    }
  }

  /** Tells a shard what to do: FAKE_TOPIC; `said` are messages it sends to the primary first. */
  tell(shardIndex: number, topic: string, said: readonly ToPrimary[] = []): void {
    const payload = said.length === 0 ? Buffer.alloc(0) : Buffer.from(JSON.stringify(said));
    const message = { topic, payload, qos: 0, retain: false } as const;
    assert.ok(this.supervisor.post(shardIndex, { kind: 'publish', id: 1, message }));
  }

  kindsGot(shardIndex: number): string[] {
    return this.got[shardIndex].map((message) => message.kind);
  }
}

const openDescriptors = () => readdirSync('/proc/self/fd').length;

describe('supervisor', () => {
  let watched: Watched;
  const watch = (...parameters: ConstructorParameters<typeof Watched>) => {
    watched = new Watched(...parameters);
    return watched;
  };
  afterEach(() => watched.supervisor.stop());

  test('all shards are live when start resolves, and gone when stop does', async () => {
    const { supervisor, said, logged } = watch(2, FAKE_START.ordinary);
    await supervisor.start();
    assert.deepEqual(said, ['launched 0', 'launched 1', 'live 0', 'live 1'].sort(byStart(said)));
    assert.ok(supervisor.isLive(0) && supervisor.isLive(1));
    await supervisor.stop();
    assert.ok(!supervisor.isLive(0));
    assert.equal(supervisor.post(0, { kind: 'quiesce' }), false);
    assert.deepEqual(watched.kindsGot(0), ['quiesce', 'stop']);
    assert.deepEqual(watched.kindsGot(1), ['quiesce', 'stop']);
    assert.deepEqual(logged, []);
  });

  test('a shard that cannot start makes start reject, and ends the others', async () => {
    const { supervisor, logged } = watch(2, FAKE_START.failsAtStart);
    await assert.rejects(supervisor.start(), (error: Error) => {
      assert.equal(error.message, 'shard 1 could not start: no such provider');
      assert.equal((error.cause as Error).message, 'no such provider');
      return true;
    });
    assert.ok(!supervisor.isLive(0));
    assert.deepEqual(
      logged.filter(({ level }) => level === 'error'),
      [],
    );
  });

  test('a shard that hangs at start makes start reject', async () => {
    const { supervisor } = watch(1, FAKE_START.hangsAtStart, { startMs: 300 });
    await assert.rejects(
      supervisor.start(),
      /shard 0 could not start: it was not ready within 300 ms/,
    );
  });

  test('stop while it starts makes start reject', async () => {
    const { supervisor } = watch(1, FAKE_START.hangsAtStart);
    const started = assert.rejects(supervisor.start(), /closed while it started/);
    await supervisor.stop();
    await started;
  });

  for (const [how, cause] of [
    [FAKE_TOPIC.die, 'told to die'],
    [FAKE_TOPIC.reject, 'told to reject'],
    [FAKE_TOPIC.end, 'its task ended without being asked to'],
    [FAKE_TOPIC.exit, 'worker exited with code: 7'],
  ]) {
    test(`a shard lost by ${how} is replaced, its peers told before and after`, async () => {
      const { supervisor, events, said, logged } = watch(3, FAKE_START.ordinary);
      await supervisor.start();
      said.length = 0;
      watched.tell(1, how);
      await once(events, 'live');
      assert.deepEqual(said, [`dead 1 ${cause}`, 'gone 1', 'launched 1', 'live 1']);
      assert.deepEqual(watched.kindsGot(0), ['peer-dead', 'peer-new']);
      assert.deepEqual(watched.kindsGot(2), ['peer-dead', 'peer-new']);
      assert.deepEqual(logged, [{ level: 'error', message: 'a shard died' }]);
    });
  }

  test('a successor is not live before its peers have welcomed it', async () => {
    const { supervisor, events } = watch(2, FAKE_START.neverWelcomes);
    await supervisor.start();
    watched.tell(1, FAKE_TOPIC.die);
    await once(events, 'launched');
    while (!watched.kindsGot(0).includes('peer-new')) await once(events, 'got');
    // The successor answers: it is ready, and reads its port.
    watched.tell(1, FAKE_TOPIC.say);
    await once(events, 'published');
    assert.ok(!supervisor.isLive(1));
    watched.tell(0, FAKE_TOPIC.say, [{ kind: 'peer-welcomed', shardIndex: 1 }]);
    await once(events, 'live');
    assert.ok(supervisor.isLive(1));
  });

  test('a successor does not wait for the welcome of a peer that dies meanwhile', async () => {
    const { supervisor, events, said } = watch(2, FAKE_START.neverWelcomes);
    await supervisor.start();
    watched.tell(1, FAKE_TOPIC.die);
    await once(events, 'launched');
    while (!watched.kindsGot(0).includes('peer-new')) await once(events, 'got');
    watched.tell(1, FAKE_TOPIC.say);
    await once(events, 'published');
    said.length = 0;
    watched.tell(0, FAKE_TOPIC.die);
    await once(events, 'launched');
    assert.deepEqual(said, ['dead 0 told to die', 'live 1', 'gone 0', 'launched 0']);
  });

  test('what a shard said before it died is heard before its death', async () => {
    const { supervisor, events, said } = watch(2, FAKE_START.ordinary);
    await supervisor.start();
    events.on('dropped', (shardIndex) => said.push(`dropped ${shardIndex}`));
    said.length = 0;
    watched.tell(0, FAKE_TOPIC.die, [{ kind: 'dropped', claims: [0] }]);
    await once(events, 'dead');
    assert.deepEqual(said.slice(0, 2), ['dropped 0', 'dead 0 told to die']);
  });

  test('totals do not fall when a shard is replaced', async () => {
    const { supervisor, events } = watch(2, FAKE_START.ordinary);
    await supervisor.start();
    new Counters(supervisor.countersOf(1)).add(Counter.messagesReceived, 5);
    watched.tell(1, FAKE_TOPIC.die);
    await once(events, 'live');
    assert.equal(sumCounters(supervisor.allCounters()).messagesReceived, 5);
    assert.equal(new Counters(supervisor.countersOf(1)).get(Counter.messagesReceived), 0);
  });

  test('two shards that die together are both replaced', async () => {
    const { supervisor, events, said } = watch(3, FAKE_START.ordinary);
    await supervisor.start();
    said.length = 0;
    watched.tell(0, FAKE_TOPIC.die);
    watched.tell(1, FAKE_TOPIC.die);
    while (said.filter((line) => line.startsWith('live')).length < 2) await once(events, 'live');
    assert.ok([0, 1, 2].every((shardIndex) => supervisor.isLive(shardIndex)));
    const told = watched.kindsGot(2).filter((kind) => kind.startsWith('peer-'));
    assert.deepEqual(told.sort(), ['peer-dead', 'peer-dead', 'peer-new', 'peer-new']);
  });

  test('after too many deaths in a short time it gives up and says why in one line', async () => {
    const { supervisor, events, said } = watch(2, FAKE_START.successorFails);
    await supervisor.start();
    const failed = once(events, 'failed');
    watched.tell(0, FAKE_TOPIC.die);
    const [message] = await failed;
    assert.equal(message, `${SHARD_DEATHS_MAX} shards died within 60 s, the last of: still broken`);
    assert.equal(said.filter((line) => line.startsWith('dead 0')).length, SHARD_DEATHS_MAX);
    // The other one serves until it is stopped.
    assert.ok(supervisor.isLive(1));
    await supervisor.stop();
    assert.deepEqual(watched.kindsGot(1).slice(-2), ['quiesce', 'stop']);
  });

  test('deaths long ago do not count', async () => {
    const { supervisor, events } = watch(1, FAKE_START.ordinary, { deathWindowMs: 0 });
    await supervisor.start();
    for (let death = 0; death <= SHARD_DEATHS_MAX; death++) {
      watched.tell(0, FAKE_TOPIC.die);
      await once(events, 'live');
    }
  });

  for (const [mode, warning] of [
    [FAKE_START.neverQuiesces, 'not all shards quiesced in time'],
    [FAKE_START.neverStops, 'not all shards stopped in time'],
    [FAKE_START.hangsAtStop, 'not all shards stopped in time'],
  ]) {
    test(`stop ends a shard with ${mode} at the deadline`, async () => {
      const { supervisor, logged } = watch(1, mode, { quiesceMs: 50, stopMs: 50 });
      await supervisor.start();
      await supervisor.stop();
      assert.ok(logged.some(({ level, message }) => level === 'warn' && message === warning));
    });
  }

  test('a shard that dies while all stop holds nobody up', async () => {
    const { supervisor, events } = watch(2, FAKE_START.neverQuiesces);
    await supervisor.start();
    const stopped = supervisor.stop();
    watched.tell(0, FAKE_TOPIC.die);
    watched.tell(1, FAKE_TOPIC.say, [{ kind: 'quiesced' }]);
    await once(events, 'dead');
    await stopped;
    assert.deepEqual(watched.kindsGot(1).slice(-1), ['stop']);
  });

  test('deaths and successors leave no descriptor open', async () => {
    // What the first pool opens once for the process stays open.
    await runOnce();
    const before = openDescriptors();
    await runOnce();
    assert.equal(openDescriptors(), before);

    async function runOnce(): Promise<void> {
      const { supervisor, events } = watch(2, FAKE_START.ordinary);
      await supervisor.start();
      watched.tell(1, FAKE_TOPIC.die);
      await once(events, 'live');
      watched.tell(0, FAKE_TOPIC.die);
      await once(events, 'live');
      await supervisor.stop();
    }
  });
});

/** Orders expected lines as they came, for those whose order is the shards' own affair. */
function byStart(said: readonly string[]) {
  return (a: string, b: string) => said.indexOf(a) - said.indexOf(b);
}
