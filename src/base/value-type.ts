/** Kinds of settings: how a value is read from text or from a program, checked, and shown. */

/** A JSON schema, or a part of one: plain data. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** One kind of setting. Plain functions, so that a table of settings stays a table. */
export interface ValueType<T> {
  /** What is allowed, in the words used by faults, `--help` and the README. */
  readonly allowed: string;
  /** Stands for the value in `--help`; empty for a switch, whose flag may stand alone. */
  readonly placeholder: string;
  /** What a configuration file may hold, for editors; `read` is what judges it. */
  readonly schema?: JsonSchema;
  /**
   * Reads text (environment, flags) or a program's value (library options); undefined: not allowed.
   */
  read(given: unknown): T | undefined;
  /** Why a value is not allowed, where there is more to say than what is. */
  why?(given: unknown): string | undefined;
  /** The value as an operator would write it. */
  show(value: T): string;
}

const KIB = 1024;
/** Whoever writes MB means what the README calls MiB: memory and buffers are made of these. */
const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: KIB,
  kb: KIB,
  kib: KIB,
  m: KIB ** 2,
  mb: KIB ** 2,
  mib: KIB ** 2,
  g: KIB ** 3,
  gb: KIB ** 3,
  gib: KIB ** 3,
};
/** A plain number is in seconds. */
const DURATION_UNITS: Readonly<Record<string, number>> = {
  '': 1_000,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `1,048,576`: a number in groups of digits. Intl takes 25 ms when a thread uses it first. */
function grouped(value: number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** Reads a decimal number with a unit of `units`; undefined if it is neither. */
function readWithUnit(given: unknown, units: Readonly<Record<string, number>>): number | undefined {
  if (typeof given === 'number') return given * units[''];
  if (typeof given !== 'string') return undefined;
  const parts = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(given.trim());
  if (parts === null) return undefined;
  const unit = parts[2].toLowerCase();
  return Object.hasOwn(units, unit) ? Number(parts[1]) * units[unit] : undefined;
}

/** The value if it is a whole number in the range. */
function wholeWithin(value: number | undefined, min: number, max: number): number | undefined {
  if (value === undefined || !Number.isSafeInteger(value)) return undefined;
  return value >= min && value <= max ? value : undefined;
}

interface Range {
  readonly min: number;
  readonly max: number;
}

/** A whole number in a range, both ends allowed. */
export function wholeNumber({ min, max }: Range): ValueType<number> {
  return {
    allowed: `a whole number from ${min} to ${grouped(max)}`,
    placeholder: 'number',
    schema: { type: 'integer', minimum: min, maximum: max },
    read: (given) => wholeWithin(readWithUnit(given, { '': 1 }), min, max),
    show: String,
  };
}

/** The number in the largest unit that divides it. */
export function showBytes(value: number): string {
  const units = [
    ['GiB', KIB ** 3],
    ['MiB', KIB ** 2],
    ['KiB', KIB],
  ] as const;
  const fit = units.find(([, size]) => value !== 0 && value % size === 0);
  return fit === undefined ? String(value) : `${value / fit[1]}${fit[0]}`;
}

/** A number of bytes in a range. */
export function bytes({ min, max }: Range): ValueType<number> {
  return {
    allowed: `bytes, plain or with KiB, MiB or GiB, from ${showBytes(min)} to ${showBytes(max)}`,
    placeholder: 'bytes',
    schema: {
      anyOf: [
        { type: 'integer', minimum: min, maximum: max },
        { type: 'string', pattern: '^\\d+(\\.\\d+)? ?([kKmMgG]([iI]?[bB])?|[bB])?$' },
      ],
    },
    read: (given) => wholeWithin(readWithUnit(given, BYTE_UNITS), min, max),
    show: showBytes,
  };
}

/** Bytes rounded up to a power of two, which `min` and `max` must be. */
export function powerOfTwoBytes(range: Range): ValueType<number> {
  const type = bytes(range);
  return {
    ...type,
    allowed: `${type.allowed}; rounded up to a power of two`,
    read(given) {
      const value = type.read(given);
      return value === undefined ? undefined : 2 ** Math.ceil(Math.log2(value));
    },
  };
}

/** Milliseconds in days if they are whole ones, or in the largest unit up to minutes. */
export function showDuration(milliseconds: number): string {
  const days = milliseconds / DURATION_UNITS.d;
  if (days >= 1 && Number.isInteger(days)) return `${days}d`;
  if (milliseconds >= 60_000 && milliseconds % 60_000 === 0) return `${milliseconds / 60_000}m`;
  return milliseconds % 1_000 === 0 ? `${milliseconds / 1_000}s` : `${milliseconds}ms`;
}

/**
 * A time. Plain numbers are seconds, wherever they come from.
 * @param unitMs what the value counts: 1 for milliseconds, 1,000 for seconds; the range is in it
 * too.
 */
export function duration({ min, max }: Range, unitMs: 1 | 1_000): ValueType<number> {
  const show = (value: number): string => showDuration(value * unitMs);
  const kinds =
    unitMs === 1
      ? 'seconds, or a time such as 500ms, 2s or 1m'
      : 'whole seconds, or a time such as 90s or 5m';
  return {
    allowed: `${kinds}, from ${show(min)} to ${show(max)}`,
    placeholder: 'time',
    schema: {
      anyOf: [
        { type: 'number', minimum: 0 },
        { type: 'string', pattern: '^\\d+(\\.\\d+)? ?(ms|s|m|h|d)?$' },
      ],
    },
    read(given) {
      const milliseconds = readWithUnit(given, DURATION_UNITS);
      // A decimal such as 0.29 s is 290 ms and a rounding error; a thousandth of that is not a
      // value.
      const value = milliseconds === undefined ? Number.NaN : milliseconds / unitMs;
      const nearest = Math.round(value);
      return wholeWithin(Math.abs(value - nearest) < 1e-6 ? nearest : value, min, max);
    },
    show,
  };
}

/** True or false. */
export function trueOrFalse(): ValueType<boolean> {
  const words = new Map<unknown, boolean>([
    [true, true],
    [false, false],
    ['true', true],
    ['false', false],
    ['1', true],
    ['0', false],
  ]);
  return {
    allowed: 'true or false',
    placeholder: '',
    schema: { type: 'boolean' },
    read: (given) => words.get(typeof given === 'string' ? given.trim().toLowerCase() : given),
    show: String,
  };
}

/** Text of at most so many bytes that UTF-8 can say, without control characters; or none, null. */
export function textOrNone(max: number): ValueType<string | null> {
  return {
    allowed: `none, or text of at most ${grouped(max)} bytes`,
    placeholder: 'text',
    schema: { type: ['string', 'null'], maxLength: max },
    read(given) {
      if (given === null) return null;
      if (typeof given !== 'string' || given === '') return undefined;
      if (given.toLowerCase() === 'none') return null;
      const isSound = Buffer.byteLength(given) <= max && !/\p{Surrogate}|\p{Cc}/u.test(given);
      return isSound ? given : undefined;
    },
    show: (value) => value ?? 'none',
  };
}

/** One of some words, in any case. */
export function oneOf(words: readonly string[]): ValueType<string> {
  return {
    allowed: words.join(', '),
    placeholder: 'word',
    schema: { enum: [...words] },
    read(given) {
      const word = typeof given === 'string' ? given.trim().toLowerCase() : given;
      return words.find((known) => known.toLowerCase() === word);
    },
    show: (value) => value,
  };
}

/** Text of at most so many bytes that UTF-8 can say, without control characters; not empty. */
export function text(max: number): ValueType<string> {
  const orNone = textOrNone(max);
  return {
    allowed: `text of at most ${grouped(max)} bytes, without control characters`,
    placeholder: 'text',
    schema: { type: 'string', minLength: 1, maxLength: max },
    read(given) {
      // YAML takes a name of digits for a number.
      const word = typeof given === 'number' ? String(given) : given;
      const isNone = typeof word === 'string' && word.toLowerCase() === 'none';
      return isNone ? word : (orNone.read(word) ?? undefined);
    },
    show: (value) => value,
  };
}

/** One or more of a kind, in a list or by commas. */
export function listOf<T>(type: ValueType<T>): ValueType<readonly T[]> {
  return {
    allowed: `one or more, in a list or by commas, of: ${type.allowed}`,
    placeholder: `${type.placeholder},…`,
    schema: {
      anyOf: [type.schema ?? {}, { type: 'array', items: type.schema ?? {}, minItems: 1 }],
    },
    read(given) {
      const split = typeof given === 'string' ? given.split(',').map((item) => item.trim()) : given;
      const items: unknown[] = Array.isArray(split) ? split : [split];
      const read = items.map((item) => type.read(item));
      const isSound = items.length > 0 && read.every((item) => item !== undefined);
      return isSound ? (read as T[]) : undefined;
    },
    show: (values) => values.map((value) => type.show(value)).join(','),
  };
}
