/** How `surgemq sub` prints a message: `-F` with the formats of mosquitto_sub, and JSON. */
import type { Message } from '../client/index.js';
import { shownProperties } from './property-flags.js';
import { type Moment, padded, strftime } from './strftime.js';

/** Writes one part of a message: text, or bytes where it is the payload's own. */
export type FormatPart = (message: Message, moment: Moment) => string | Uint8Array;

/** A format that was understood, or what is wrong with it. */
export type ReadFormat =
  | { readonly parts: readonly FormatPart[]; readonly fault: null }
  | { readonly parts: null; readonly fault: string };

/** Flags, width and precision behind a `%`. */
interface Field {
  readonly isLeft: boolean;
  readonly hasZeros: boolean;
  readonly width: number;
  /** Infinity for none. */
  readonly lengthMax: number;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\',
  '0': '\0',
  a: '\x07',
  e: '\x1b',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
/** A parameter, a time, an escape, or text between them. */
const SPECIFIER = [
  /%(?<flags>[-0]*)(?<width>\d*)(?:\.(?<max>\d+))?(?<letter>[^\d.-])/u,
  /@(?<time>.)/u,
  /\\(?<escaped>.)/u,
  /[^%@\\]+/u,
]
  .map(({ source }) => source)
  .join('|');
/** Longest width: a typing error must not fill the memory. */
const WIDTH_MAX = 10_000;

/** Numbers take zeros, text does not. */
function number(value: (message: Message) => number | string) {
  return (field: Field): FormatPart =>
    (message) =>
      fitted(String(value(message)), field, field.hasZeros ? '0' : ' ');
}

function fitted(text: string, { isLeft, width, lengthMax }: Field, fill: string): string {
  const cut = text.length > lengthMax ? text.slice(0, lengthMax) : text;
  return isLeft ? cut.padEnd(width) : cut.padStart(width, fill);
}

/** Date and time as ISO 8601 has them, without a colon in the offset. */
const isoDate = strftime('F');
const isoTime = strftime('T');
const isoOffset = strftime('z');
function isoText(moment: Moment, fraction: string): string {
  return `${isoDate?.(moment)}T${isoTime?.(moment)}${fraction}${isoOffset?.(moment)}`;
}

function unixTime({ date, nanoseconds }: Moment): string {
  return `${Math.floor(date.getTime() / 1_000)}.${padded(nanoseconds, 9)}`;
}

/** A property of MQTT 5.0, nothing where it is not there. */
function property(text: (properties: Message['properties']) => unknown) {
  return (field: Field): FormatPart =>
    ({ properties }) =>
      fitted(String(text(properties) ?? ''), field, ' ');
}

/** What the letters behind `%` stand for. */
const PARAMETERS: Readonly<Record<string, (field: Field, options: FormatOptions) => FormatPart>> = {
  '%': () => () => '%',
  l: number(({ payload }) => payload.length),
  m: number(({ packetId }) => packetId),
  q: () => (message) => String(message.qos),
  r: () => (message) => (message.retain ? '1' : '0'),
  t: (field) => (message) => fitted(message.topic, field, ' '),
  x: number(({ payload }) => payload.toString('hex')),
  X: number(({ payload }) => payload.toString('hex').toUpperCase()),
  p: (field) => (message) => {
    const blanks = ' '.repeat(Math.max(0, field.width - message.payload.length));
    if (blanks === '') return message.payload;
    const [before, after] = field.isLeft ? ['', blanks] : [blanks, ''];
    return Buffer.concat([Buffer.from(before), message.payload, Buffer.from(after)]);
  },
  // Aliases are the connection's: no message has one.
  A: property(() => ''),
  C: property(({ contentType }) => contentType),
  D: property(({ correlationData }) => correlationData),
  E: property(({ messageExpiryInterval }) => messageExpiryInterval),
  F: property(({ payloadFormatIndicator }) => payloadFormatIndicator),
  P: property(({ userProperties }) => userProperties?.map((pair) => pair.join(':')).join(' ')),
  R: property(({ responseTopic }) => responseTopic),
  S: property(({ subscriptionIdentifiers }) => subscriptionIdentifiers?.join(' ')),
  I: (field) => (_, moment) => fitted(isoText(moment, ''), field, ' '),
  U: () => (_, moment) => unixTime(moment),
  j: (_, options) => (message, moment) => jsonText(message, moment, false, options),
  J: (_, options) => (message, moment) => jsonText(message, moment, true, options),
};

/** How JSON is printed. */
export interface FormatOptions {
  /** Over several lines. */
  readonly isPretty: boolean;
  /** Told of a payload that is no JSON where it should be. */
  onNoJson(topic: string): void;
}

/**
 * Reads a format: `json` for `%j`, or text with `%` parameters, `@` for strftime and `\` escapes.
 */
export function readFormat(format: string, options: FormatOptions): ReadFormat {
  const text = format === 'json' ? '%j' : format;
  const parts: FormatPart[] = [];
  const pattern = new RegExp(SPECIFIER, 'suy');
  while (pattern.lastIndex < text.length) {
    const start = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) return fault(`Incomplete format specifier '${text.slice(start)}'.`);
    const [whole] = match;
    const { letter, time, escaped, ...field } = match.groups ?? {};
    let part: FormatPart | undefined;
    if (letter !== undefined) part = parameter(letter, fieldOf(field), options);
    else if (time !== undefined) part = timePart(time);
    else if (escaped !== undefined) part = escapePart(escaped);
    else part = () => whole;
    if (part === undefined) return fault(`Invalid format specifier '${whole}'.`);
    parts.push(part);
  }
  return { parts, fault: null };
}

function fault(text: string): ReadFormat {
  return { parts: null, fault: text };
}

function fieldOf(given: Readonly<Record<string, string | undefined>>): Field {
  const { flags = '', width = '', max } = given;
  return {
    isLeft: flags.includes('-'),
    hasZeros: flags.includes('0'),
    width: Math.min(WIDTH_MAX, Number(width)),
    lengthMax: max === undefined ? Number.POSITIVE_INFINITY : Number(max),
  };
}

function parameter(letter: string, field: Field, options: FormatOptions): FormatPart | undefined {
  return Object.hasOwn(PARAMETERS, letter) ? PARAMETERS[letter](field, options) : undefined;
}

function timePart(letter: string): FormatPart | undefined {
  if (letter === '@') return () => '@';
  const conversion = strftime(letter);
  return conversion && ((_, moment) => conversion(moment));
}

function escapePart(letter: string): FormatPart | undefined {
  if (!Object.hasOwn(ESCAPES, letter)) return undefined;
  const character = ESCAPES[letter];
  return () => character;
}

/** The message as JSON, its payload as text or as the JSON it holds. */
function jsonText(
  message: Message,
  moment: Moment,
  isPayloadJson: boolean,
  options: FormatOptions,
): string {
  const { topic, qos, retain, payload, packetId } = message;
  let value: unknown = payload.length === 0 ? null : payload.toString();
  if (isPayloadJson && payload.length > 0) {
    try {
      value = JSON.parse(payload.toString());
    } catch {
      options.onNoJson(topic);
      return '';
    }
  }
  const properties = shownProperties(message.properties);
  const microseconds = padded(Math.floor(moment.nanoseconds / 1_000), 6);
  const fields = {
    tst: isoText(moment, `.${microseconds}`),
    topic,
    qos,
    retain: retain ? 1 : 0,
    payloadlen: payload.length,
    ...(qos === 0 ? {} : { mid: packetId }),
    ...(Object.keys(properties).length === 0 ? {} : { properties }),
    payload: value,
  };
  return options.isPretty ? prettyJson(fields, '') : JSON.stringify(fields);
}

/** JSON as mosquitto_sub prints it with --pretty: tabs, and lists on one line. */
function prettyJson(value: unknown, indent: string): string {
  if (Array.isArray(value)) {
    return `[${value.map((item) => prettyJson(item, `${indent}\t`)).join(', ')}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const deeper = `${indent}\t`;
  const lines = Object.entries(value).map(
    ([name, item]) => `${deeper}${JSON.stringify(name)}:\t${prettyJson(item, deeper)}`,
  );
  return lines.length === 0 ? '{\n}' : `{\n${lines.join(',\n')}\n${indent}}`;
}
