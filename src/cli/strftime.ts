/** The C library's strftime, as far as mosquitto_sub's formats are used: in the C locale. */

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  ...['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August'],
  ...['September', 'October', 'November', 'December'],
];
const HOURS_OF_HALF_DAY = 12;

/** A moment, local time. */
export interface Moment {
  readonly date: Date;
  /** Nanoseconds of the second, as far as the clock tells. */
  readonly nanoseconds: number;
}

/** The moment now. */
export function momentNow(): Moment {
  const milliseconds = performance.timeOrigin + performance.now();
  const nanoseconds = Math.floor((milliseconds % 1_000) * 1_000_000);
  return { date: new Date(milliseconds), nanoseconds };
}

/** A number with at least `width` characters. */
export function padded(value: number, width: number, fill = '0'): string {
  return String(value).padStart(width, fill);
}

/** Offset of local time from UTC, such as `+0100`. */
function offset(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  const sign = minutes < 0 ? '-' : '+';
  const hours = Math.floor(Math.abs(minutes) / 60);
  return `${sign}${padded(hours, 2)}${padded(Math.abs(minutes) % 60, 2)}`;
}

function dayOfYear(date: Date): number {
  const start = Date.UTC(date.getFullYear(), 0, 1);
  const day = Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((day - start) / 86_400_000) + 1;
}

function zoneName(date: Date): string {
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(date);
  return parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
}

/** Hour on a clock with twelve hours. */
function hour12(date: Date): number {
  return date.getHours() % HOURS_OF_HALF_DAY || HOURS_OF_HALF_DAY;
}

/** What each letter stands for; several are made of others. */
const CONVERSIONS: Readonly<Record<string, string | ((date: Date) => string)>> = {
  a: (date) => DAYS[date.getDay()].slice(0, 3),
  A: (date) => DAYS[date.getDay()],
  b: (date) => MONTHS[date.getMonth()].slice(0, 3),
  B: (date) => MONTHS[date.getMonth()],
  c: 'a b e T Y',
  C: (date) => padded(Math.floor(date.getFullYear() / 100), 2),
  d: (date) => padded(date.getDate(), 2),
  D: 'm/d/y',
  e: (date) => padded(date.getDate(), 2, ' '),
  F: 'Y-m-d',
  h: 'b',
  H: (date) => padded(date.getHours(), 2),
  I: (date) => padded(hour12(date), 2),
  j: (date) => padded(dayOfYear(date), 3),
  k: (date) => padded(date.getHours(), 2, ' '),
  l: (date) => padded(hour12(date), 2, ' '),
  m: (date) => padded(date.getMonth() + 1, 2),
  M: (date) => padded(date.getMinutes(), 2),
  n: () => '\n',
  p: (date) => (date.getHours() < HOURS_OF_HALF_DAY ? 'AM' : 'PM'),
  r: 'I:M:S p',
  R: 'H:M',
  s: (date) => String(Math.floor(date.getTime() / 1_000)),
  S: (date) => padded(date.getSeconds(), 2),
  t: () => '\t',
  T: 'H:M:S',
  u: (date) => String(date.getDay() || DAYS.length),
  w: (date) => String(date.getDay()),
  x: 'm/d/y',
  X: 'H:M:S',
  y: (date) => padded(date.getFullYear() % 100, 2),
  Y: (date) => String(date.getFullYear()),
  z: offset,
  Z: zoneName,
};

/**
 * A function that writes a moment as `%` and this letter do; `N` stands for the nanoseconds.
 * Undefined for a letter that is not known.
 */
export function strftime(letter: string): ((moment: Moment) => string) | undefined {
  if (letter === 'N') return ({ nanoseconds }) => padded(nanoseconds, 9);
  if (!Object.hasOwn(CONVERSIONS, letter)) return undefined;
  const conversion = CONVERSIONS[letter];
  if (typeof conversion === 'function') return ({ date }) => conversion(date);
  const parts = [...conversion].map((part) => strftime(part) ?? (() => part));
  return (moment) => parts.map((part) => part(moment)).join('');
}
