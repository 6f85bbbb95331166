/** Which members of a group can be given messages. */
import type { Rights } from '../access/rights.js';
import { GROUP_TOPICS_KEPT_MAX } from '../base/limits.js';
import { MemberState } from './group-link.js';

/** A member, as far as it is chosen from. */
export interface Choosable {
  state: MemberState;
  /** Where it stands among those of its state; the candidates' own. */
  place: number;
  /** What it may be given; null: everything. The candidates' own, too. */
  rights: Rights | null;
}

/** Of one group. What a member's change of state costs does not depend on how many there are. */
export class Candidates<M extends Choosable> {
  readonly #here: M[] = [];
  readonly #behind: M[] = [];
  /** Members whose rights are bounded, absent ones too. */
  #ruled = 0;
  /** By topic: who may read it, until any member changes. */
  readonly #readers = new Map<string, readonly M[]>();

  /** Those that are here and not behind; where there are none, those that are behind. */
  get all(): readonly M[] {
    return this.#here.length > 0 ? this.#here : this.#behind;
  }

  /** Whether what one member may be given another may not. */
  get areRuled(): boolean {
    return this.#ruled > 0;
  }

  /** As `all`, of those that may read a topic: to find them is a look at each, once a topic. */
  of(topicKey: string): readonly M[] {
    if (this.#ruled === 0) return this.all;
    const known = this.#readers.get(topicKey);
    if (known !== undefined) return known;
    if (this.#readers.size >= GROUP_TOPICS_KEPT_MAX) this.#readers.clear();
    const here = this.#here.filter((each) => mayRead(each, topicKey));
    const readers = here.length > 0 ? here : this.#behind.filter((each) => mayRead(each, topicKey));
    this.#readers.set(topicKey, readers);
    return readers;
  }

  /** A member that was not known. */
  add(member: M): void {
    if (member.rights !== null) this.#ruled++;
    this.#place(member);
  }

  /** A member is one no more. */
  remove(member: M): void {
    if (member.rights !== null) this.#ruled--;
    this.#displace(member);
  }

  /** A member has another state from here on. */
  setState(member: M, state: MemberState): void {
    this.#displace(member);
    member.state = state;
    this.#place(member);
  }

  /** A member has other rights from here on. */
  setRights(member: M, rights: Rights | null): void {
    this.remove(member);
    member.rights = rights;
    this.add(member);
  }

  #place(member: M): void {
    this.#readers.clear();
    const list = this.#listOf(member.state);
    if (list === null) return;
    member.place = list.length;
    list.push(member);
  }

  #displace(member: M): void {
    this.#readers.clear();
    const list = this.#listOf(member.state);
    const last = list?.pop();
    if (list === null || last === undefined || last === member) return;
    // The last one takes its place, so that no others move.
    list[member.place] = last;
    last.place = member.place;
  }

  #listOf(state: MemberState): M[] | null {
    if (state === MemberState.absent) return null;
    return state === MemberState.here ? this.#here : this.#behind;
  }
}

/** Whether a member may be given messages of a topic. */
export function mayRead({ rights }: Choosable, topicKey: string): boolean {
  return rights === null || rights.mayRead(topicKey);
}
