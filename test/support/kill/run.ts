/**
 * A run with kills: clients of every kind load a broker that is killed at random moments and
 * started again in its folder; now and then all of them come to rest, and everything that was
 * acknowledged has to be where it belongs.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../../fuzz/random.js';
import { Crowd } from './crowd.js';
import { Faults } from './faults.js';
import { type BrokerPlan, KillableBroker } from './killable-broker.js';
import { probeRetained } from './retained-probe.js';

/** What is killed: the process, one of its shards, or at random either. */
export type Victim = 'process' | 'shard' | 'both';

export interface KillPlan extends BrokerPlan {
  readonly seed: number;
  readonly kills: number;
  readonly victim: Victim;
  /** Kills from one rest to the next. */
  readonly restEvery: number;
  /** Load before each kill at most, in milliseconds; without kills: load at all. */
  readonly loadMs: number;
  /** What is missing when nothing has come for so long is lost, in milliseconds. */
  readonly stallMs: number;
  /** With Shared Subscriptions, too. */
  readonly hasGroups: boolean;
  /** Goes on after a fault: how many there are of another broker. */
  readonly isGoingOn: boolean;
  /** Is called when there are faults, while the broker runs, which is then ended. */
  onFaults?(faults: Faults, folder: string, pid: number | null): Promise<void>;
  /** Is told how far it is. */
  onProgress?(text: string): void;
}

export interface KillReport {
  readonly seed: number;
  readonly faults: Faults;
  readonly totals: ReturnType<Crowd['totals']>;
  /** The broker's, kept when there are faults. */
  readonly folder: string;
  readonly seconds: number;
}

/** Every how many kills one hits the broker while it starts. */
const IN_VAIN_EVERY = 8;
const IN_VAIN_MS = 400;
/** Deaths of shards, one after the other, that a broker is to live through. */
const SHARD_KILLS_MAX = 4;
const LOOK_MS = 10;

class KillRun {
  readonly faults = new Faults();
  readonly #plan: KillPlan;
  readonly #random: Random;
  readonly #broker: KillableBroker;
  readonly crowd: Crowd;
  #progressAt = 0;

  constructor(plan: KillPlan, random: Random, broker: KillableBroker, faults: Faults) {
    this.#plan = plan;
    this.faults = faults;
    this.#random = random;
    this.#broker = broker;
    const onProgress = (): void => {
      this.#progressAt = performance.now();
    };
    const onFault = (clientId: string, trace: readonly string[]): void => {
      const path = join(broker.folder, `${clientId}.packets`);
      if (!existsSync(path)) writeFileSync(path, `${trace.join('\n')}\n`);
    };
    const around = { port: broker.port, random, faults, onProgress, onFault };
    this.crowd = new Crowd(around, plan.hasGroups);
  }

  async run(): Promise<void> {
    const { kills, restEvery, loadMs } = this.#plan;
    await this.#broker.start();
    // All have subscribed before anything is published.
    await this.#rest();
    do {
      this.crowd.begin();
      if (kills === 0) await delay(loadMs);
      const until = Math.min(kills, this.faults.kills + restEvery);
      while (this.faults.kills < until && !this.#isToEnd) await this.#loadAndKill();
      if (!this.#isToEnd) await this.#rest();
      this.#say();
    } while (this.faults.kills < kills && !this.#isToEnd);
  }

  /** A fault leaves all as it is, to be looked at. */
  get #isToEnd(): boolean {
    return this.faults.total > 0 && !this.#plan.isGoingOn;
  }

  #say(): void {
    const { acknowledged } = this.crowd.totals();
    const { kills } = this.faults;
    const what = `kill ${kills} of ${this.#plan.kills}, ${acknowledged} acknowledged`;
    this.#plan.onProgress?.(`${what}: ${this.faults.summary()}`);
  }

  async #loadAndKill(): Promise<void> {
    const { victim, loadMs } = this.#plan;
    const random = this.#random;
    await delay(random.below(loadMs));
    await this.#startIfEnded();
    if (random.onceIn(3)) {
      await probeRetained(this.#broker.port, this.crowd.topics, this.faults);
    }
    if (this.#isToEnd) return;
    const isWanted = victim === 'shard' || (victim === 'both' && random.onceIn(2));
    // A broker that sees more of its shards die in a minute gives up, as it should.
    const isShard = isWanted && this.#broker.shardsKilledHere < SHARD_KILLS_MAX;
    this.faults.kills++;
    if (isShard) return this.#broker.killShard();
    await this.#broker.kill();
    if (random.onceIn(IN_VAIN_EVERY)) await this.#broker.startInVain(random.below(IN_VAIN_MS));
    await this.#broker.start();
  }

  /** It must not end by itself; when it does, the run goes on, to see what that has cost. */
  async #startIfEnded(): Promise<void> {
    if (!this.#broker.hasEnded()) return;
    await this.#broker.kill();
    await this.#broker.start();
  }

  /** Everybody comes back, and everything arrives, or is lost. */
  async #rest(): Promise<void> {
    await this.crowd.rest();
    await this.#startIfEnded();
    this.#progressAt = performance.now();
    for (;;) {
      const obstacle = this.crowd.obstacle();
      if (obstacle === null) break;
      if (performance.now() - this.#progressAt > this.#plan.stallMs) {
        if (!obstacle.endsWith('not come')) this.faults.add('broker', `stands still: ${obstacle}`);
        break;
      }
      await delay(LOOK_MS);
    }
    this.crowd.settle();
    await this.#startIfEnded();
    await probeRetained(this.#broker.port, this.crowd.topics, this.faults);
  }

  async close(): Promise<void> {
    await this.crowd.close();
    await this.#broker.stop();
  }
}

/** Runs it. The folder of a run without faults is removed. */
export async function runKills(plan: KillPlan): Promise<KillReport> {
  const startedAt = performance.now();
  const random = new Random(plan.seed);
  const faults = new Faults();
  const broker = await KillableBroker.at(plan, faults);
  const run = new KillRun(plan, random, broker, faults);
  try {
    await run.run();
  } catch (error) {
    faults.add('broker', (error as Error).message);
  }
  if (faults.total > 0) await plan.onFaults?.(faults, broker.folder, broker.pid);
  await run.close();
  if (faults.total === 0) broker.remove();
  return {
    seed: plan.seed,
    faults,
    totals: run.crowd.totals(),
    folder: broker.folder,
    seconds: (performance.now() - startedAt) / 1_000,
  };
}

/** A report in lines. */
export function reportLines({ seed, faults, totals, folder, seconds }: KillReport): string[] {
  const { published, acknowledged, refused, delivered, repeated } = totals;
  const figures =
    `seed ${seed}, ${faults.kills} kills in ${seconds.toFixed(0)} s: ${published} published, ` +
    `${acknowledged} acknowledged, ${refused} refused, ${delivered} delivered, ` +
    `${repeated} of them again at QoS 1`;
  if (faults.total === 0) return [figures, 'no fault'];
  return [figures, ...faults.lines, faults.summary(), `data folder kept: ${folder}`];
}
