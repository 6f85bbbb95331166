/** Runs a history against a broker, brings it to rest, and looks at what is retained in the end. */
import { once } from 'node:events';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { retainedOwnerOf } from '../../src/router/route.js';
import { connect, parsePublish, subscribe } from '../support/packets.js';
import { within } from '../support/waiting.js';
import { ModelClient } from './client.js';
import type { Publishing, RestartStep, Step } from './history.js';
import type { ModelBroker } from './model-broker.js';
import { NEVER, type Request, type Restart } from './record.js';
import { Recorder } from './recorder.js';
import { findFaults, isAllThere } from './rules.js';

/** How a history is run. */
export interface RunOptions {
  readonly workers: number;
  /** How long to wait for what must come, in milliseconds. */
  readonly patienceMs: number;
}

type ClientStep = Extract<Step, { slot: number }>;

/** A CONNECT beside the history. */
const BARE = { id: 0, will: null, holdsAcks: false, version: 4 } as const;
const LOOK_MS = 5;
/** How long a run may take in all, in milliseconds. */
const HANG_MS = 20_000;
let runs = 0;

/** A client with the steps that it has still to take. */
class Actor {
  readonly client: ModelClient;
  readonly #queue: ClientStep[] = [];
  readonly #others: readonly Actor[];
  /** While there is no broker. */
  isPaused = false;
  /** Requests of its own or of another client that it waits for. */
  #waitsFor: readonly Request[] = [];

  constructor(client: ModelClient, others: readonly Actor[]) {
    this.client = client;
    this.#others = others;
  }

  add(step: ClientStep): void {
    this.#queue.push(step);
    this.pump();
  }

  get isDone(): boolean {
    return this.#queue.length === 0 && !this.#isWaiting;
  }

  get #isWaiting(): boolean {
    return this.#waitsFor.some(
      ({ acked, connection }) => acked === NEVER && connection.ended === NEVER,
    );
  }

  /** Takes all the steps that it can take now. */
  pump(): void {
    while (this.#queue.length > 0 && !this.#isWaiting && !this.isPaused) {
      const step = this.#queue[0];
      const isEnd = step.do === 'connect' || step.do === 'cut' || step.do === 'disconnect';
      if (isEnd && this.client.isConnecting) return;
      this.#queue.shift();
      this.#take(step);
    }
  }

  #take(step: ClientStep): void {
    const { client } = this;
    switch (step.do) {
      case 'connect':
        client.connect(step);
        return;
      case 'subscribe':
        client.subscribe(step.filters);
        return;
      case 'unsubscribe':
        client.unsubscribe(step.filters);
        return;
      case 'publish':
        client.publish(step.id, step.messages);
        return;
      case 'cut':
        client.cut();
        return;
      case 'disconnect':
        client.disconnect();
        return;
      case 'ping':
        client.ping();
        return;
      case 'wait':
        this.#waitsFor = [...client.outstanding];
        return;
      case 'after':
        this.#waitsFor = [...(this.#others[step.of]?.client.outstanding ?? [])];
    }
  }
}

/** One run of one history. */
class Run {
  readonly recorder: Recorder;
  readonly #broker: ModelBroker;
  readonly #options: RunOptions;
  readonly #actors: Actor[] = [];
  readonly #pending: Promise<void>[] = [];
  #deadline = Date.now() + HANG_MS;

  constructor(broker: ModelBroker, steps: readonly Step[], options: RunOptions) {
    this.#broker = broker;
    this.#options = options;
    this.recorder = new Recorder(`r${++runs}`, topicsOf(steps));
    const slots = steps.reduce((most, step) => {
      return 'slot' in step ? Math.max(most, step.slot + 1) : most;
    }, 0);
    for (let slot = 0; slot < slots; slot++) {
      const client = new ModelClient(slot, this.recorder, broker, broker.process !== null);
      this.#actors.push(new Actor(client, this.#actors));
    }
    this.recorder.onChange = () => {
      for (const actor of this.#actors) actor.pump();
    };
  }

  /** Everybody does what the history says. */
  async act(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      if (step.do === 'turn') await nextTurn();
      else if (step.do === 'kill') this.#pending.push(this.#kill());
      else if (step.do === 'restart') await this.#restart(step);
      else if (step.do === 'server') this.#pending.push(this.#publish(step.id, step.message));
      else this.#actors[step.slot].add(step);
    }
    await this.#until(
      () => this.#actors.every((actor) => actor.isDone),
      () => 'the steps to be taken',
    );
    await Promise.all(this.#pending);
  }

  /**
   * Clients that are away come back, all that is asked is answered, and all that was said has come.
   */
  async settle(): Promise<void> {
    // Two rounds: a shard that dies late takes with it who has just come back.
    for (let round = 0; round < (this.recorder.deaths.length > 0 ? 2 : 1); round++) {
      for (const { client } of this.#actors) {
        client.releaseAcks();
        if (client.isConnected || !client.hasConnected) continue;
        client.connect({ ...BARE, clean: client.wasClean });
      }
      const clients = this.#connected();
      for (const client of clients) {
        const filter = this.recorder.sentinelTopic;
        client.subscribe([{ filter, qos: 0, noLocal: false, retainHandling: 0 }], false);
      }
      await this.#answered();
    }
    const clients = this.#connected();
    for (const client of clients) {
      client.publishSentinel(this.recorder.sentinelTopic, String(client.slot));
    }
    await this.#answered();
    const pairs = clients.flatMap(({ slot }) => clients.map((from) => `${slot} ${from.slot}`));
    await this.#until(
      () => pairs.every((pair) => this.recorder.sentinels.has(pair)),
      () => 'QoS 0 messages of everybody to everybody',
    );
    await this.#patiently(() => isAllThere(this.recorder));
  }

  /** Subscribers that come now see what is retained. */
  async lookAtRetained(): Promise<void> {
    const { recorder } = this;
    const views: Map<string, string>[] = [];
    const clients = [];
    for (let n = 0; n < 2 * this.#options.workers; n++) {
      const client = await this.#broker.raw();
      const view = new Map<string, string>();
      clients.push(client);
      views.push(view);
      client.onPacket = (packet) => {
        if (packet[0] >> 4 !== 3) return;
        const { topic, payload } = parsePublish(packet);
        view.set(topic.slice(recorder.prefix.length + 1), payload.trimEnd());
      };
      const filter = n % 2 === 0 ? ['#'] : [...recorder.topics];
      const filters = filter.map((each): [string, number] => [recorder.topicOf(each), 0]);
      const clientId = `${recorder.prefix}-fresh${n}`;
      client.send(connect({ clientId }), subscribe(1, ...filters));
    }
    recorder.fresh.push(...views);
    await this.#patiently(() => isAllThere(recorder));
    await Promise.all(clients.map((client) => client.cut()));
  }

  /** Leaves nothing behind: neither sessions nor retained messages. */
  async clean(): Promise<void> {
    for (const { client } of this.#actors) {
      if (client.hasConnected) client.connect({ ...BARE, clean: true });
    }
    const clearing = this.#actors[0]?.client;
    const messages = [...this.recorder.topics].map((topic) => {
      return { topic, qos: 1, retain: true, isEmpty: true, padding: 0 } as const;
    });
    clearing?.publish(0, messages);
    await this.#answered();
    for (const { client } of this.#actors) client.disconnect();
  }

  #connected(): ModelClient[] {
    return this.#actors.map(({ client }) => client).filter(({ isConnected }) => isConnected);
  }

  async #answered(): Promise<void> {
    const left = () => this.#connected().flatMap(({ outstanding }) => outstanding);
    await this.#until(
      () => left().length === 0,
      () => {
        return `acks: ${left()
          .map(({ kind, packetId, connection }) => `${kind} ${packetId} of c${connection.slot}`)
          .join(', ')}`;
      },
    );
  }

  /** Waits for what must come to an end, whatever else is wrong. */
  async #until(holds: () => boolean, what: () => string): Promise<void> {
    while (!holds()) {
      if (Date.now() > this.#deadline) {
        this.recorder.hangs.push(`waited ${HANG_MS} ms for ${what()}`);
        return;
      }
      await delay(1);
    }
  }

  /** Waits for what may be missing for good. */
  async #patiently(holds: () => boolean): Promise<void> {
    const deadline = Date.now() + this.#options.patienceMs;
    while (!holds() && Date.now() < deadline) await delay(LOOK_MS);
  }

  async #publish(id: number, message: Publishing): Promise<void> {
    const { recorder } = this;
    const { topic, qos, retain, isEmpty, padding } = message;
    const name = `m${id}`;
    const begin = recorder.note(`Server.publish ${topic} "${name}"`);
    const published = recorder.publication(message, name, {
      kind: 'server',
      slot: -1,
      place: 0,
      connection: null,
      isOf5: false,
      wallBegin: Number.NaN,
      begin,
      request: null,
    });
    const payload = isEmpty ? '' : name.padEnd(name.length + padding);
    try {
      await this.#broker.server.publish({ topic: recorder.topicOf(topic), payload, qos, retain });
    } catch (error) {
      // A shard that dies may leave it open whether it was published.
      if (recorder.deaths.length === 0) recorder.fault('serverPublishes', String(error));
      return;
    }
    published.end = Math.min(published.end, recorder.note(`Server.publish "${name}" done`));
    published.isCertain = true;
  }

  /** Who is connected when the broker ends comes back as soon as it is back, and goes on. */
  async #restart({ isKill, afterMs }: RestartStep): Promise<void> {
    const { recorder } = this;
    const broker = this.#broker.process;
    if (broker === null) throw new Error('the broker has no process of its own');
    await delay(afterMs);
    const startedAt = Date.now();
    for (const actor of this.#actors) actor.isPaused = true;
    const begin = recorder.note(`the broker is ${isKill ? 'killed' : 'ended'}`);
    const restart: Restart = { isKill, begin, end: NEVER };
    recorder.restarts.push(restart);
    await broker.end(isKill);
    await this.#until(
      () => this.#actors.every(({ client }) => client.isAway),
      () => 'the connections of an ended broker to be closed',
    );
    await broker.start();
    restart.end = recorder.note('the broker is back');
    this.#deadline += Date.now() - startedAt;
    for (const { client } of this.#actors) client.reconnect();
    for (const actor of this.#actors) {
      actor.isPaused = false;
      actor.pump();
    }
  }

  /** The next connection to the shard that is killed is deadly: see lethal-authenticator.ts. */
  async #kill(): Promise<void> {
    const { recorder } = this;
    const { server } = this.#broker;
    const { workers } = this.#options;
    const begin = recorder.note('a shard is killed');
    const death = { begin, end: NEVER, ownsTopic: (_topic: string) => true };
    recorder.deaths.push(death);
    const died = within(once(server, 'shardDied'), 'a shard to die');
    const started = within(once(server, 'shardStarted'), 'its successor');
    const killer = await this.#broker.raw();
    killer.send(connect({ clientId: `lethal-${recorder.prefix}` }));
    const [shardIndex] = await died;
    death.ownsTopic = (topic) => retainedOwnerOf(recorder.topicOf(topic), workers) === shardIndex;
    await started;
    death.end = recorder.note(`shard ${shardIndex} has a successor`);
  }
}

function topicsOf(steps: readonly Step[]): Set<string> {
  const topics = new Set<string>();
  for (const step of steps) {
    if (step.do === 'publish') for (const { topic } of step.messages) topics.add(topic);
    else if (step.do === 'server') topics.add(step.message.topic);
    else if (step.do === 'connect' && step.will !== null) topics.add(step.will.topic);
  }
  return topics;
}

/** Runs a history. @returns what was observed, and what of it must not be. */
export async function runHistory(
  broker: ModelBroker,
  steps: readonly Step[],
  options: RunOptions,
): Promise<{ readonly record: Recorder; readonly faults: ReturnType<typeof findFaults> }> {
  const run = new Run(broker, steps, options);
  await run.act(steps);
  await run.settle();
  await run.lookAtRetained();
  const said = broker.process?.takeFaults() ?? [];
  const faults = [...said, ...run.recorder.faults, ...findFaults(run.recorder)];
  await run.clean();
  return { record: run.recorder, faults };
}
