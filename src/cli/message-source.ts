/** Where the message of `surgemq pub` and `surgemq rr` comes from. */
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { REMAINING_LENGTH_MAX } from '../base/limits.js';
import { ArgumentError, type Payload } from '../client/index.js';
import { isTopicName } from '../client/text.js';
import type { Flag } from './args.js';
import type { CommandLine } from './mqtt-command.js';

/** Each line of the standard input is a message: `pub` alone. */
const LINES: Flag = {
  name: 'stdin-line',
  short: 'l',
  summary: 'Sends each line of the standard input.',
};

/** Flags that say where a single message comes from. */
export const SOURCE_FLAGS: readonly Flag[] = [
  { name: 'message', short: 'm', placeholder: 'text', summary: 'The message.' },
  { name: 'file', short: 'f', placeholder: 'file', summary: 'Sends the contents of a file.' },
  { name: 'stdin-file', short: 's', summary: 'Sends all of the standard input as one message.' },
  { name: 'null-message', short: 'n', summary: 'Sends an empty message.' },
];

/** The same, or lines of the standard input. */
export const SOURCE_FLAGS_WITH_LINES: readonly Flag[] = [...SOURCE_FLAGS, LINES];

/** Reads the topic and which flag the message comes from, exactly one. Notes faults in `line`. */
export function readSource(
  line: CommandLine,
  urlTopic: string,
): { readonly topic: string; readonly source: string } {
  const topic = line.text('topic') ?? urlTopic;
  const sources = SOURCE_FLAGS_WITH_LINES.map(({ name }) => name).filter((name) => line.has(name));
  if (sources.length > 1) line.faults.push('Only one type of message can be sent at once.');
  if (topic === '' || sources.length === 0) {
    line.faults.push('Both topic and message must be supplied.');
  } else if (!isTopicName(topic)) {
    line.faults.push(`Invalid publish topic '${topic}', does it contain '+' or '#'?`);
  }
  return { topic, source: sources[0] ?? '' };
}

/** The message, read before connecting; null for lines, which come later. */
export async function fixedPayload(source: string, line: CommandLine): Promise<Payload | null> {
  switch (source) {
    case 'message':
      return line.text('message') ?? '';
    case 'file':
      return readFile(line.text('file') ?? '');
    case 'stdin-file':
      return readAll(process.stdin);
    case 'null-message':
      return '';
    default:
      return null;
  }
}

/** All of a stream. @throws ArgumentError when no packet could hold it. */
async function readAll(input: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    chunks.push(chunk);
    bytes += chunk.length;
    checkLength(bytes);
  }
  return Buffer.concat(chunks);
}

/** The lines of a stream as bytes, without their `\n`. @throws ArgumentError for one too long. */
export async function* linesOf(input: Readable): AsyncGenerator<Buffer, void, undefined> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end));
      yield parts.length === 1 ? parts[0] : Buffer.concat(parts);
      parts = [];
      bytes = 0;
      start = end + 1;
    }
    parts.push(chunk.subarray(start));
    bytes += chunk.length - start;
    checkLength(bytes);
  }
  if (bytes > 0) yield Buffer.concat(parts);
}

function checkLength(bytes: number): void {
  if (bytes <= REMAINING_LENGTH_MAX) return;
  throw new ArgumentError(`Message too large: a packet has at most ${REMAINING_LENGTH_MAX} bytes`);
}
