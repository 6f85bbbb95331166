/**
 * What a match costs, and a filter weighs, as filters that have nothing to do with the topic grow a
 * thousandfold. The same topics are matched in a small tree and in one that holds the small one's
 * filters and many more; a third figure takes its topics from all over the large tree, so that
 * hardly any of the memory it touches is in the processor's caches.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  MatchResult,
  type Subscriber,
  SubscriptionTree,
} from '../../src/topics/subscription-tree.js';
import { type MicroResult, type MicroSize, measure } from './micro.js';

/**
 * A match timed in a tree of `filters` filters, each of `bytesPerFilter` bytes, its key included.
 */
export interface TopicsMatchResult extends MicroResult {
  readonly filters: number;
  readonly bytesPerFilter: number;
}

const FILTERS: Readonly<Record<MicroSize, { readonly few: number; readonly many: number }>> = {
  small: { few: 1_000, many: 10_000 },
  large: { few: 1_000, many: 1_000_000 },
};
/** Topics matched in turn: publishers that are busy at the same time. */
const TOPICS = 1_000;
/** Times each topic is matched in a round. */
const REPEATS: Readonly<Record<MicroSize, number>> = { small: 5, large: 50 };
const SUBSCRIBERS = 1_000;

/** Wildcard filters with wildcards at various levels; `topic` is a topic that matches. */
const WILDCARD_SHAPES: readonly { filter(i: number): string; topic(i: number): string }[] = [
  { filter: (i) => `site/${i}/+/temp`, topic: (i) => `site/${i}/hall/temp` },
  { filter: (i) => `+/x${i}/#`, topic: (i) => `site/x${i}/meter/power` },
  { filter: (i) => `site/${i}/line/#`, topic: (i) => `site/${i}/line/robot/speed` },
  { filter: (i) => `plant/+/machine${i}/state`, topic: (i) => `plant/north/machine${i}/state` },
  {
    filter: (i) => `fleet/${i % 1_000}/+/${i}/position`,
    topic: (i) => `fleet/${i % 1_000}/eu/${i}/position`,
  },
];

/** Filter `i` and a topic it matches. One in ten has wildcards. */
function filterAndTopic(i: number): { filter: string; topic: string } {
  const shape = i % 10 === 0 ? WILDCARD_SHAPES[(i / 10) % WILDCARD_SHAPES.length] : undefined;
  if (shape !== undefined) return { filter: flat(shape.filter(i)), topic: flat(shape.topic(i)) };
  const exact = `site/${i % 977}/device/${i}/temperature`;
  return { filter: flat(exact), topic: flat(exact) };
}

/** A string as the wire gives it: made from bytes, sharing nothing with others. */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** Bytes held on the heap and in typed arrays, which are beside it. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  const collectGarbage: () => void = runInNewContext('gc');
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function makeSubscribers(): Subscriber[] {
  return Array.from({ length: SUBSCRIBERS }, () => ({ matchIndex: 0 }));
}

interface BuiltTree {
  readonly tree: SubscriptionTree<Subscriber>;
  readonly filters: number;
  readonly bytesPerFilter: number;
}

function build(filters: number, subscribers: readonly Subscriber[]): BuiltTree {
  const before = heldBytes();
  const tree = new SubscriptionTree<Subscriber>();
  for (let i = 0; i < filters; i++) {
    tree.subscribe(filterAndTopic(i).filter, subscribers[i % SUBSCRIBERS]!, 1);
  }
  return { tree, filters, bytesPerFilter: (heldBytes() - before) / filters };
}

function time(name: string, size: MicroSize, built: BuiltTree, step: number): TopicsMatchResult {
  const topics = Array.from(
    { length: TOPICS },
    (_, i) => filterAndTopic((i * step) % built.filters).topic,
  );
  const result = new MatchResult<Subscriber>();
  const repeats = REPEATS[size];
  const measured = measure(name, size, TOPICS * repeats, () => {
    let found = 0;
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (let i = 0; i < topics.length; i++) {
        built.tree.match(topics[i]!, result);
        found += result.count;
      }
    }
    return found;
  });
  return { ...measured, filters: built.filters, bytesPerFilter: built.bytesPerFilter };
}

/** Runs the bench: few filters, many with the same topics, many with topics from all over. */
export function run(size: MicroSize): TopicsMatchResult[] {
  const { few, many } = FILTERS[size];
  const subscribers = makeSubscribers();
  const small = build(few, subscribers);
  const large = build(many, subscribers);
  return [
    time(`match, ${few} filters`, size, small, 1),
    time(`match, ${many} filters, same topics`, size, large, 1),
    time(`match, ${many} filters, topics from all over`, size, large, 997),
  ];
}
