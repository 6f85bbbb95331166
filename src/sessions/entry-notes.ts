/** What is noted of the entries of a queue, beside it: few queues have any notes. */

/** Entries that have left are forgotten when they are so many. */
const GONE_MAX = 1_024;

/** First in, first out; an entry without a note is `undefined`. */
export class EntryNotes<T> {
  #notes: (T | undefined)[];
  #first = 0;

  /** @param entries that are in the queue already, without any. */
  constructor(entries: number) {
    this.#notes = new Array<undefined>(entries).fill(undefined);
  }

  push(note: T | undefined): void {
    this.#notes.push(note);
  }

  /** Of entry `index`, 0 being the oldest. */
  at(index: number): T | undefined {
    return this.#notes[this.#first + index];
  }

  set(index: number, note: T | undefined): void {
    this.#notes[this.#first + index] = note;
  }

  /** The note of entry `from`, which is older, is that of entry `to` from here on. */
  move(from: number, to: number): void {
    this.#notes[this.#first + to] = this.#notes[this.#first + from];
  }

  shift(): void {
    this.#notes[this.#first++] = undefined;
    if (this.#first < GONE_MAX || this.#first * 2 < this.#notes.length) return;
    this.#notes = this.#notes.slice(this.#first);
    this.#first = 0;
  }
}
