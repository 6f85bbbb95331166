/**
 * The filters of a SUBSCRIBE or UNSUBSCRIBE, which may hold one in every four bytes: 260,000 in a
 * packet of 1 MiB. They are checked and read where they lie, some at a time, so that nobody waits
 * for all of them, and none is a string before it is needed.
 */
import { ProtocolError } from '../base/errors.js';
import { checkText } from './text-check.js';

/** What a protocol version asks of the filters of a packet, and how their fields are laid out. */
export interface FilterRules {
  /** What a packet breaks that ends within a filter. */
  readonly clause: string;
  /** Checks the bytes [start, end) of a filter, but not its syntax. @throws ProtocolError */
  checkFilter(bytes: Buffer, start: number, end: number): void;
  /**
   * Checks the byte behind the filter [start, end); null where there is none. -1 stands for a
   * packet that ends before it. @throws ProtocolError
   */
  readonly checkOptions:
    | ((options: number, bytes: Buffer, start: number, end: number) => void)
    | null;
}

/** A SUBSCRIBE or UNSUBSCRIBE whose filters are not checked yet. */
export interface FilterPacket {
  readonly packetId: number;
  readonly filters: FilterCursor;
}

/** Goes over the filters of one packet: first to check them all, and then to read them. */
export class FilterCursor {
  /** Filters checked so far. */
  count = 0;
  /** The byte behind the filter that was read last. */
  options = 0;
  readonly #rules: FilterRules;
  #bytes: Buffer;
  #start: number;
  #end: number;
  #position: number;
  /** Filters and bytes of the part at hand that may still be read. */
  #partFilters = 0;
  #partEnd = 0;

  /** @param bytes which must stay as they are, until `keep`. At least one in [start, end). */
  constructor(bytes: Buffer, start: number, end: number, rules: FilterRules) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    this.#position = start;
    this.#rules = rules;
  }

  /** All filters have been read. */
  get isAtEnd(): boolean {
    return this.#position === this.#end;
  }

  /** Bytes that are not read yet, or not checked. */
  get left(): number {
    return this.#end - this.#position;
  }

  /**
   * Checks filters until `bytesMax` are passed. @returns whether all are checked: then they may be
   * read, from the first on.
   * @throws ProtocolError for the first one that may not be.
   */
  checkSome(bytesMax: number): boolean {
    const bytes = this.#bytes;
    const { clause, checkOptions } = this.#rules;
    const stop = this.#position + bytesMax;
    while (this.#position < stop) {
      if (this.#position === this.#end) {
        this.#position = this.#start;
        return true;
      }
      if (this.left < 2) throw new ProtocolError(clause, 'topic filter is missing');
      const start = this.#position + 2;
      const end = start + uint16At(bytes, this.#position);
      if (end > this.#end) {
        throw new ProtocolError(clause, 'topic filter is longer than the packet');
      }
      this.#rules.checkFilter(bytes, start, end);
      checkOptions?.(end < this.#end ? bytes[end]! : -1, bytes, start, end);
      this.#position = checkOptions === null ? end : end + 1;
      this.count++;
    }
    return false;
  }

  /** Begins a part: the next filters, at most so many and not many more bytes than these. */
  beginPart(filters: number, bytes: number): void {
    this.#partFilters = filters;
    this.#partEnd = this.#position + bytes;
  }

  /** The part at hand has been read. */
  get isPartRead(): boolean {
    return this.isAtEnd || this.#partFilters === 0 || this.#position >= this.#partEnd;
  }

  /** Reads the next filter, as a topic key. Not to be called at the end. */
  next(): string {
    this.#partFilters--;
    const start = this.#position + 2;
    const end = start + uint16At(this.#bytes, this.#position);
    if (this.#rules.checkOptions !== null) this.options = this.#bytes[end]!;
    this.#position = this.#rules.checkOptions === null ? end : end + 1;
    return this.#bytes.toString('latin1', start, end);
  }

  /** Keeps the filters where `shared` is about to be overwritten. */
  keep(shared: Buffer): void {
    if (this.#bytes.buffer !== shared.buffer) return;
    this.#bytes = Buffer.from(this.#bytes.subarray(this.#start, this.#end));
    this.#position -= this.#start;
    this.#partEnd -= this.#start;
    this.#end -= this.#start;
    this.#start = 0;
  }
}

function uint16At(bytes: Buffer, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function checkFilter(bytes: Buffer, start: number, end: number): void {
  if (start === end) throw new ProtocolError('MQTT-4.7.3-1', 'topic filter is empty');
  checkText(bytes, start, end, 'topic filter');
}

function checkRequestedQos(qos: number): void {
  if (qos < 0) throw new ProtocolError('3.8.3', 'requested QoS is missing');
  if (qos > 2) throw new ProtocolError('MQTT-3-8.3-4', `requested QoS byte ${qos}`);
}

/** SUBSCRIBE of MQTT 3.1 and 3.1.1 [MQTT 3.1.1, 3.8.3]: the byte is the requested QoS. */
export const SUBSCRIBE_RULES: FilterRules = {
  clause: 'MQTT-3.8.3-1',
  checkFilter,
  checkOptions: checkRequestedQos,
};

/** UNSUBSCRIBE of MQTT 3.1 and 3.1.1 [MQTT 3.1.1, 3.10.3]. */
export const UNSUBSCRIBE_RULES: FilterRules = {
  clause: 'MQTT-3.10.3-1',
  checkFilter,
  checkOptions: null,
};
