/**
 * Reads YAML, and JSON with it, into plain values, each with its place in the text. Bounded in
 * depth and number: a file is not believed more than a packet is.
 */
import { createRequire } from 'node:module';
import type { CST, Document, LineCounter, Node, Pair, ParsedNode } from 'yaml';
import {
  CONFIG_DEPTH_MAX,
  CONFIG_FAULTS_FOUND_MAX,
  CONFIG_INDENT_MAX,
  CONFIG_NODES_MAX,
} from './limits.js';

type Yaml = typeof import('yaml');

let loaded: Yaml | undefined;

/** Loaded with the first text: a program that has no file does not wait for it. */
function yaml(): Yaml {
  loaded ??= createRequire(import.meta.url)('yaml') as Yaml;
  return loaded;
}

/** A fault and where it is. */
export interface PlacedFault {
  /** From 1. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** What a text says. */
export interface YamlText {
  /** Plain data; undefined when the text cannot be read. */
  readonly value: unknown;
  readonly faults: readonly PlacedFault[];
  /** Where the value at a path is; the nearest that holds it where there is none. */
  placeOf(path: readonly string[]): Place;
  /** Where the name of an entry of a mapping is. */
  placeOfName(path: readonly string[]): Place;
}

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Ends the reading: there is more than anybody writes. */
class TooMuch extends Error {
  readonly offset: number;
  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

const DEEP = `is nested more deeply than ${CONFIG_DEPTH_MAX} levels`;

/**
 * Looks for nesting before anything is built of it: the parser calls itself once a level, and takes
 * half a minute for a megabyte of brackets.
 * @throws TooMuch
 */
function checkDepth(text: string): void {
  const { Lexer } = yaml();
  let offset = 0;
  let flow = 0;
  let inLine = 0;
  for (const token of new Lexer().lex(text)) {
    // These say what the next one is, and are no text.
    const isMark = token === '\u0002' || token === '\u0018' || token === '\u001f';
    if (token === '\n' || token === '\r\n') inLine = 0;
    else if (token === '[' || token === '{') flow++;
    else if (token === ']' || token === '}') flow--;
    else if (token === '-' || token === '?' || token === ':') inLine++;
    else if (/^ +$/.test(token) && token.length > CONFIG_INDENT_MAX) {
      throw new TooMuch(offset, `has more than ${CONFIG_INDENT_MAX} blanks in a row`);
    }
    if (flow > CONFIG_DEPTH_MAX || (flow === 0 && inLine > CONFIG_DEPTH_MAX)) {
      throw new TooMuch(offset, DEEP);
    }
    if (!isMark) offset += token.length;
  }
}

/** A fault by its place in the text. */
interface TextFault {
  readonly offset: number;
  readonly message: string;
}

/** Faults of a text, so many that nobody needs more. */
class TextFaults {
  readonly found: TextFault[] = [];

  /** @throws TooMuch */
  add(offset: number, message: string): void {
    if (this.found.length >= CONFIG_FAULTS_FOUND_MAX) {
      throw new TooMuch(offset, 'there are so many faults before this that it is not read');
    }
    this.found.push({ offset, message });
  }
}

/** Where the parser says that something is wrong. */
type FaultSource = number | readonly number[] | { readonly offset: number };

function offsetOf(source: FaultSource): number {
  if (typeof source === 'number') return source;
  return 'offset' in source ? source.offset : (source[0] ?? 0);
}

/**
 * The document of a text, which may have one. The parts of the parser are put together here, since
 * as a whole it makes an error of each of a hundred thousand faults before it says anything.
 * @returns null where the text is empty. @throws TooMuch
 */
function compose(text: string, lines: LineCounter, faults: TextFaults): Document | null {
  const { Composer, Parser } = yaml();
  // Its own look for names that stand twice takes seconds for thousands.
  const composer = new Composer({ uniqueKeys: false });
  Object.assign(composer, {
    onError(source: FaultSource, _: string, message: string) {
      faults.add(offsetOf(source), message);
    },
  });
  function* tokens(): Generator<CST.Token> {
    for (const token of new Parser(lines.addNewLine).parse(text)) {
      if (token.type !== 'error') yield token;
      else faults.add(token.offset, `${token.message}: ${JSON.stringify(token.source)}`);
    }
  }
  let first: Document | null = null;
  for (const document of composer.compose(tokens(), true, text.length)) {
    if (first !== null) {
      faults.add(
        document.range[0],
        'another document begins: there must not be multiple documents',
      );
      break;
    }
    first = document;
  }
  for (const { pos, message } of first === null ? [] : [...first.errors, ...first.warnings]) {
    faults.add(pos[0], message);
  }
  return first;
}

/** Makes plain data of a document, and remembers where each piece of it is. */
class Values {
  readonly offsets = new Map<string, number>();
  readonly nameOffsets = new Map<string, number>();
  readonly #faults: TextFaults;
  /** What aliases stand for, as far as the document is read: the last of each name. */
  readonly #anchors = new Map<string, Node>();
  #aliasDepth = 0;
  #nodes = 0;

  constructor(faults: TextFaults) {
    this.#faults = faults;
  }

  /** @throws TooMuch */
  read(node: unknown, path: string, depth: number, offset: number): unknown {
    const { isAlias, isMap, isScalar, isSeq } = yaml();
    const at = (node as ParsedNode | null)?.range?.[0] ?? offset;
    if (!this.offsets.has(path)) this.offsets.set(path, at);
    if (++this.#nodes > CONFIG_NODES_MAX) {
      throw new TooMuch(at, `says more than ${CONFIG_NODES_MAX} things, aliases included`);
    }
    if (depth > CONFIG_DEPTH_MAX) throw new TooMuch(at, DEEP);
    if (isAlias(node)) return this.#alias(node.source, path, depth, at);
    const anchor = (node as ParsedNode | null)?.anchor;
    // What is read again by an alias has been before.
    if (anchor !== undefined && this.#aliasDepth === 0) this.#anchors.set(anchor, node as Node);
    if (isMap(node)) return this.#mapping(node.items, path, depth, at);
    if (isSeq(node)) {
      return node.items.map((item, index) => this.read(item, `${path}/${index}`, depth + 1, at));
    }
    return isScalar(node) ? node.value : null;
  }

  /** Not by the parser's own way, which looks through the whole document for each. */
  #alias(name: string, path: string, depth: number, offset: number): unknown {
    const meant = this.#anchors.get(name);
    if (meant === undefined) {
      this.#faults.add(offset, `there is no &${name} before this`);
      return null;
    }
    this.#aliasDepth++;
    const value = this.read(meant, path, depth + 1, offset);
    this.#aliasDepth--;
    return value;
  }

  #mapping(items: readonly Pair[], path: string, depth: number, offset: number): object {
    const { isScalar } = yaml();
    const values: [string, unknown][] = [];
    const names = new Set<string>();
    for (const { key, value } of items) {
      const at = (key as ParsedNode | null)?.range?.[0] ?? offset;
      const name = isScalar(key) ? String(key.value) : undefined;
      if (name === undefined) {
        this.#faults.add(at, 'a name must be text');
        continue;
      }
      const inner = `${path}/${escaped(name)}`;
      if (names.has(name)) this.#faults.add(at, `${name} is said twice`);
      names.add(name);
      if (!this.nameOffsets.has(inner)) this.nameOffsets.set(inner, at);
      values.push([name, this.read(value, inner, depth + 1, at)]);
    }
    // As own properties, whatever the names: __proto__ is one like others.
    return Object.fromEntries(values);
  }
}

/** A name as it stands in a JSON pointer. */
function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Reads a text. Never throws. */
export function readYaml(text: string): YamlText {
  const { LineCounter } = yaml();
  const lines = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const fault = (offset: number, message: string): PlacedFault => {
    return { ...placeAt(offset), message };
  };
  const none = { value: undefined, placeOf: () => placeAt(0), placeOfName: () => placeAt(0) };
  // As the parser counts them: for what is found before it runs.
  lines.addNewLine(0);
  try {
    checkDepth(text);
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error;
    const before = text.slice(0, error.offset).split('\n');
    const { message } = error;
    const line = before.length;
    return { ...none, faults: [{ line, column: before[line - 1].length + 1, message }] };
  }
  lines.lineStarts.length = 0;
  const found = new TextFaults();
  const values = new Values(found);
  const find = (offsets: ReadonlyMap<string, number>, path: readonly string[]): Place => {
    for (let length = path.length; length > 0; length--) {
      const pointer = path
        .slice(0, length)
        .map((name) => `/${escaped(name)}`)
        .join('');
      const offset = offsets.get(pointer);
      if (offset !== undefined) return placeAt(offset);
    }
    return placeAt(values.offsets.get('') ?? 0);
  };
  const faults = () => found.found.map(({ offset, message }) => fault(offset, message));
  try {
    const document = compose(text, lines, found);
    if (found.found.length > 0) return { ...none, faults: faults() };
    const value = values.read(document?.contents ?? null, '', 0, 0);
    return {
      value,
      faults: faults(),
      placeOf: (path) => find(values.offsets, path),
      placeOfName: (path) => find(values.nameOffsets, path),
    };
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error;
    return { ...none, faults: [...faults(), fault(error.offset, error.message)] };
  }
}
