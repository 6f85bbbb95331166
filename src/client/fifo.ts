/** A queue whose both ends cost the same however long it is; `Array.shift` moves every element. */

/** Slots of an empty queue; a power of two, as every later size is. */
const SLOTS_MIN = 16;

/** First in, first out. Unbounded by itself: whoever fills it keeps the bound. */
export class Fifo<T> {
  #slots: (T | undefined)[] = new Array<T | undefined>(SLOTS_MIN).fill(undefined);
  #headPosition = 0;
  #tailPosition = 0;

  /** Items in the queue. */
  get length(): number {
    return this.#tailPosition - this.#headPosition;
  }

  /** Adds at the end. */
  push(item: T): void {
    if (this.length === this.#slots.length) this.#grow();
    this.#slots[this.#tailPosition++ & (this.#slots.length - 1)] = item;
  }

  /** The first item, left where it is; undefined when there is none. */
  peek(): T | undefined {
    return this.length === 0
      ? undefined
      : this.#slots[this.#headPosition & (this.#slots.length - 1)];
  }

  /** Takes the first item; undefined when there is none. */
  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const index = this.#headPosition++ & (this.#slots.length - 1);
    const item = this.#slots[index];
    this.#slots[index] = undefined;
    // A queue that was long once does not keep its memory for ever.
    if (this.length === 0 && this.#slots.length > SLOTS_MIN) this.clear();
    return item;
  }

  /** Forgets everything. */
  clear(): void {
    this.#slots = new Array<T | undefined>(SLOTS_MIN).fill(undefined);
    this.#headPosition = 0;
    this.#tailPosition = 0;
  }

  #grow(): void {
    const old = this.#slots;
    const length = this.length;
    const slots = new Array<T | undefined>(old.length * 2).fill(undefined);
    for (let i = 0; i < length; i++) slots[i] = old[(this.#headPosition + i) & (old.length - 1)];
    this.#slots = slots;
    this.#headPosition = 0;
    this.#tailPosition = length;
  }
}
