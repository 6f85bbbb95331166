/**
 * Mosquitto's acl_file, as its manual and its release 2.0 have it:
 *
 * ```
 * # who gives no user name
 * topic read public/#
 * user ann
 * topic readwrite home/#
 * topic deny home/safe/#
 * # everybody, with their own user name and client id
 * pattern write devices/%u/%c/state
 * ```
 */
import { didYouMean } from '../base/nearest.js';
import { isValidTopicFilter, toTopicKey } from '../topics/topic.js';
import { ActionBit, type CompiledRule, DENIED_SHIFT } from './rule-set.js';

const { publish, read, subscribe } = ActionBit;
/** What each access allows; who may read may subscribe. */
const ACCESS_BITS: ReadonlyMap<string, number> = new Map([
  ['read', read | subscribe],
  ['write', publish],
  ['readwrite', publish | read | subscribe],
  // Whatever it is.
  ['deny', (publish | read | subscribe) << DENIED_SHIFT],
]);
const BLANKS = ' \t\n\v\f\r';
const KEYWORDS = ['user', 'topic', 'pattern'];

/** One that stands in the way of all: the file is not used then. */
interface Fault {
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/** What such a file says. */
export interface AclFile {
  /** By user name, null for those without. A user that is named with no rules has none. */
  readonly users: ReadonlyMap<string | null, readonly CompiledRule[]>;
  /** For everybody; `%u` and `%c` are in their filters as they stand. */
  readonly patterns: readonly CompiledRule[];
  readonly faults: readonly Fault[];
}

/** Reads a whole file, however many faults it has. */
export function parseAclFile(text: string): AclFile {
  const users = new Map<string | null, CompiledRule[]>();
  const patterns: CompiledRule[] = [];
  const faults: Fault[] = [];
  let user: string | null = null;
  let line = 0;
  for (const untrimmed of text.split('\n')) {
    line++;
    const content = trimEnd(untrimmed);
    // As Mosquitto has it, blanks may stand before a word, but not before a comment.
    if (content.startsWith('#') || content === '') continue;
    const [keyword, rest] = cutWord(content);
    try {
      if (keyword === 'user') {
        user = userOf(rest);
        if (!users.has(user)) users.set(user, []);
      } else if (keyword === 'topic') {
        const rules = users.get(user) ?? [];
        rules.push(ruleOf(rest));
        users.set(user, rules);
      } else if (keyword === 'pattern') {
        patterns.push(ruleOf(rest));
      } else {
        throw new LineError(`unknown word ${quoted(keyword)}${hint(keyword, KEYWORDS)}`);
      }
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      faults.push({ line, message: error.message });
    }
  }
  return { users, patterns, faults };
}

/** What is wrong with a file, each fault in a line that says where; empty when it is sound. */
export function checkAclFile(text: string): string[] {
  return parseAclFile(text).faults.map(({ line, message }) => `line ${line}: ${message}`);
}

/** What is wrong with one line. */
class LineError extends Error {}

function userOf(rest: string): string {
  const name = trim(rest);
  if (name === '') throw new LineError('a user needs a name: user NAME');
  return name;
}

/** `[access] filter`; an access of its own is there only where something follows it. */
function ruleOf(rest: string): CompiledRule {
  const [first, behind] = cutWord(rest);
  const hasAccess = trim(behind) !== '';
  const filter = hasAccess ? trim(behind) : first;
  if (filter === '') throw new LineError('it needs a topic filter: topic readwrite FILTER');
  const bits = ACCESS_BITS.get(hasAccess ? first : 'readwrite');
  if (bits === undefined) {
    const known = [...ACCESS_BITS.keys()];
    throw new LineError(
      `unknown access ${quoted(first)}, not one of ${known.join(', ')}${hint(first, known)}`,
    );
  }
  const filterKey = toTopicKey(filter);
  if (!isValidTopicFilter(filterKey)) {
    throw new LineError(`${quoted(filter)} is no topic filter: + and # stand for whole levels`);
  }
  return { filterKey, bits };
}

/** Without the blanks of C: others, such as U+00A0, are a part of a name. */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && BLANKS.includes(text[end - 1]!)) end--;
  return text.slice(0, end);
}

function trim(text: string): string {
  let start = 0;
  while (start < text.length && BLANKS.includes(text[start]!)) start++;
  return trimEnd(text.slice(start));
}

/** The first word of a line, and what is behind the blank that ends it. */
function cutWord(text: string): [word: string, rest: string] {
  const line = text.replace(/^ +/, '');
  const end = line.indexOf(' ');
  return end < 0 ? [line, ''] : [line.slice(0, end), line.slice(end + 1)];
}

/** Longest part of a line that a fault shows. */
const SHOWN_LENGTH_MAX = 80;

function quoted(text: string): string {
  const isLong = text.length > SHOWN_LENGTH_MAX;
  return JSON.stringify(isLong ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text);
}

function hint(word: string, known: readonly string[]): string {
  return word.length > SHOWN_LENGTH_MAX ? '' : didYouMean(word, known);
}
