/** How `surgemq sub` and `surgemq rr` print messages: the flags, and the bytes. */
import type { Message } from '../client/index.js';
import type { Flag } from './args.js';
import { type FormatPart, readFormat } from './message-format.js';
import type { CommandLine, Reporter } from './mqtt-command.js';
import { momentNow } from './strftime.js';

/** Flags of both commands. */
export const PRINT_FLAGS: readonly Flag[] = [
  { name: 'verbose', short: 'v', summary: 'Prints the topic before each message.' },
  {
    name: 'format',
    short: 'F',
    placeholder: 'format',
    summary:
      'Prints messages so: %t topic, %p payload, %x and %X payload in hex, %l its length, %q ' +
      'QoS, %r retained, %m message id, %I and %U time, %j and %J JSON (%J: of a payload that is ' +
      'JSON), of MQTT 5.0 %C content type, %D correlation data, %E expiry, %F payload format, ' +
      '%P user properties, %R response topic, %S subscription identifiers; ' +
      '%%, @ with a letter of strftime, \\n and its like; or json, which is %j.',
  },
  { name: 'pretty', summary: 'Prints JSON over several lines.' },
  { name: 'no-eol', short: 'N', summary: 'Prints no end of line after a message.' },
];

const EOL = Buffer.from('\n');

/** As the flags of a command line say. */
export class MessagePrinter {
  readonly #isVerbose: boolean;
  readonly #hasEol: boolean;
  /** Parts of `-F`; null without. */
  readonly #format: readonly FormatPart[] | null;

  /** Reads the flags. Faults are noted in `line`. */
  constructor(line: CommandLine, reporter: Reporter) {
    this.#isVerbose = line.has('verbose');
    this.#hasEol = !line.has('no-eol');
    this.#format = readFormatFlags(line, reporter);
  }

  /** A message as bytes: a payload need not be text. */
  print(message: Message): Uint8Array[] {
    const { topic, payload } = message;
    const parts: Uint8Array[] = [];
    if (this.#format !== null) {
      const moment = momentNow();
      for (const part of this.#format) parts.push(bytesOf(part(message, moment)));
    } else {
      const isNull = this.#isVerbose && payload.length === 0;
      if (this.#isVerbose) parts.push(Buffer.from(isNull ? `${topic} (null)` : `${topic} `));
      parts.push(payload);
    }
    if (this.#hasEol) parts.push(EOL);
    return parts;
  }
}

function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? Buffer.from(text) : text;
}

/** Reads `-F` and `--pretty`. */
function readFormatFlags(line: CommandLine, reporter: Reporter): readonly FormatPart[] | null {
  const text = line.text('format');
  const isPretty = line.has('pretty');
  if (isPretty && text === undefined) line.faults.push('--pretty needs -F with %j, %J or json');
  if (text === undefined) return null;
  if (line.has('verbose')) line.faults.push('-v and -F exclude each other');
  const { parts, fault } = readFormat(text, {
    isPretty,
    onNoJson: (topic) =>
      reporter.error(`Error: Message payload is not valid JSON on topic ${topic}.`),
  });
  if (fault !== null) line.faults.push(fault);
  return parts;
}
