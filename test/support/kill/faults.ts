/** What a run with kills has found wrong: counted by kind, the first of each with its words. */

/** Kinds of faults, in the order in which they are shown. */
export const FAULT_KINDS = [
  /** Acknowledged to its publisher, and never came. */
  'lost',
  /** QoS 2, and came twice. */
  'doubled',
  /** Came behind a later one of its publisher and topic. */
  'disordered',
  /** CONNACK says that there is no session, and there has to be one. */
  'forgotten',
  /** Came of a subscription that had been ended before it was published. */
  'undead',
  /** A retained message is not the last of its topic. */
  'retained',
  /** A packet that breaks the specification, or is other than it was published. */
  'protocol',
  /** The broker ended or lost a shard by itself, did not start, or did not answer. */
  'broker',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Faults whose words are kept, of each kind. */
const WORDS_MAX = 12;

/** Of one run. */
export class Faults {
  readonly counts = new Map<FaultKind, number>();
  readonly lines: string[] = [];
  /** Kills so far, which stands with each fault. */
  kills = 0;

  /** @param count how many messages are meant. */
  add(kind: FaultKind, words: string, count = 1): void {
    const before = this.counts.get(kind) ?? 0;
    this.counts.set(kind, before + count);
    const kept = this.lines.filter((line) => line.startsWith(kind)).length;
    if (kept < WORDS_MAX) this.lines.push(`${kind} (kill ${this.kills}): ${words}`);
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Such as `3 lost, 1 doubled`; `no fault` when there are none. */
  summary(): string {
    const some = FAULT_KINDS.filter((kind) => this.counts.has(kind));
    if (some.length === 0) return 'no fault';
    return some.map((kind) => `${this.counts.get(kind)} ${kind}`).join(', ');
  }
}
