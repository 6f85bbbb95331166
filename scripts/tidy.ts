/**
 * Style as a test: import direction, sizes, bans, dead files. Run by test/tidy.test.ts, or by hand:
 * `node dist/scripts/tidy.js`. It scans text. The compiler's API is marked unstable in TypeScript
 * 7, and since the formatter lays out every file the same way, lines and indentation tell enough.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A file of the repository: path from its top, with `/`. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Folders that are scanned. */
const FOLDERS = ['src', 'workers', 'bench', 'test', 'scripts'];
const FILE_LINES_MAX = 450;
const FUNCTION_LINES_MAX = 70;
const LINE_COLUMNS_MAX = 100;

/** A file imports only from its own or a lower layer. Here in order, the lowest first. */
const LAYERS = [
  'base',
  'transport',
  'protocol',
  'topics',
  'access',
  'store',
  'sessions',
  'router',
  'connection',
  'shard',
  'primary',
  'cli',
];
/** The client library stands beside the layers: what it may import. */
const CLIENT_IMPORTS = ['client', 'base', 'protocol', 'topics'];
/**
 * Faces that are whole and tested before those who use them are written. They count as published
 * until something published reaches them; then they have to go from here.
 */
const AWAITED: readonly string[] = [];
/** What scripts/browser.ts puts in the place of other modules: published, in one file. */
const BUNDLED = /^src\/client\/browser\//;
/** The only file that may read the environment. */
const ENVIRONMENT_READER = 'src/base/config.ts';

/** Patterns that no line may match. They are written so that they do not match themselves. */
interface Ban {
  readonly pattern: RegExp;
  readonly why: string;
  /** Whether comments count too. */
  readonly inComments: boolean;
  appliesTo(path: string): boolean;
}

const BANS: readonly Ban[] = [
  {
    pattern: /\bprocess\s*\.env\b|\benv\b.*from ['"]node:process/,
    why: `only ${ENVIRONMENT_READER} reads the environment`,
    inComments: false,
    appliesTo: (path) => path !== ENVIRONMENT_READER,
  },
  {
    pattern: /\bconsole\s*\.\w/,
    why: 'only src/cli and scripts write to the console',
    inComments: false,
    appliesTo: (path) => !path.startsWith('src/cli/') && !path.startsWith('scripts/'),
  },
  {
    pattern: /\b(?:TO{1}DO|FIX{1}ME|XX{1}X)\b/,
    why: 'do it, or open an issue',
    inComments: true,
    appliesTo: () => true,
  },
  {
    pattern:
      /\b(?:test|it|describe|suite|t|context)\s*\.(?:only|skip|todo)\b|\b(?:only|skip|todo)\s*:/,
    why: 'every test runs, always',
    inComments: false,
    appliesTo: (path) => path.startsWith('test/'),
  },
  {
    pattern: /(?<![\w.])\/(?:work|home|root|Users)\//,
    why: 'a path of one machine',
    inComments: true,
    appliesTo: () => true,
  },
  {
    pattern: /^\s*\/\/ (?:const|let|return|if \(|for \(|import|export|await|function) .*[;{]$/,
    why: 'code in a comment: git remembers it',
    inComments: true,
    appliesTo: () => true,
  },
  {
    pattern: /@ts-(?:ignore|nocheck|expect-error)|\bas\s+any\b/,
    why: 'say the type',
    inComments: true,
    appliesTo: () => true,
  },
];

/** Whether a line is a comment as a whole, given the formatter's layout. */
function isComment(line: string): boolean {
  return /^\s*(?:\/\/|\/\*|\*)/.test(line);
}

function bannedLines({ path, text }: SourceFile): string[] {
  const bans = BANS.filter((ban) => ban.appliesTo(path));
  return text
    .split('\n')
    .flatMap((line, at) =>
      bans
        .filter(({ pattern, inComments }) => pattern.test(line) && (inComments || !isComment(line)))
        .map(({ why }) => `${path}:${at + 1}: ${why}`),
    );
}

function wideLines({ path, text }: SourceFile): string[] {
  return text
    .split('\n')
    .flatMap((line, at) =>
      [...line].length > LINE_COLUMNS_MAX
        ? [`${path}:${at + 1}: ${[...line].length} columns, at most ${LINE_COLUMNS_MAX}`]
        : [],
    );
}

/** The code that ships: held to sizes that a reader can keep in mind. */
function isShipped(path: string): boolean {
  return path.startsWith('src/') || path.startsWith('workers/');
}

function longFile({ path, text }: SourceFile): string[] {
  const lines = text.trimEnd().split('\n').length;
  if (!isShipped(path) || lines <= FILE_LINES_MAX) return [];
  return [`${path}: ${lines} lines, at most ${FILE_LINES_MAX}`];
}

/** Statements that look like a call with a block behind it, but are no function. */
const NO_FUNCTION = /^(?:\} )?(?:if|for|while|switch|catch|do|else|return|try|with)\b/;
/** How a function begins: a declaration, a constructor, a method. */
const FUNCTION_START =
  /^(?:(?:export|default|async|static|override|get|set) )*(?:function\b|\*?#?[\w$]+(?:<.*>)?\()/;

/**
 * Whether the line at `start`, or the list of parameters that it opens, opens a function's body.
 */
function opensFunction(lines: readonly string[], start: number, indent: string): boolean {
  const code = lines[start].slice(indent.length);
  if (code.endsWith('=> {')) return true;
  if (NO_FUNCTION.test(code) || !FUNCTION_START.test(code)) return false;
  if (!code.endsWith('(')) return /\)(?:: .+)? \{$/.test(code);
  const closing = lines.find((line, at) => at > start && line.startsWith(`${indent})`));
  return closing?.endsWith(' {') ?? false;
}

/**
 * Functions that are too long. A function that begins on a line ends on the next line of the same
 * indent that closes a brace: so the formatter lays it out.
 */
function longFunctions({ path, text }: SourceFile): string[] {
  if (!isShipped(path)) return [];
  const lines = text.split('\n');
  return lines.flatMap((line, start) => {
    const indent = line.slice(0, line.length - line.trimStart().length);
    if (isComment(line) || !opensFunction(lines, start, indent)) return [];
    const end = lines.findIndex((other, at) => at > start && other.startsWith(`${indent}}`));
    const length = end - start + 1;
    if (end === -1 || length <= FUNCTION_LINES_MAX) return [];
    return [`${path}:${start + 1}: a function of ${length} lines, at most ${FUNCTION_LINES_MAX}`];
  });
}

function badName({ path }: SourceFile): string[] {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.c?ts$/.test(name)
    ? []
    : [`${path}: file names are kebab-case`];
}

/**
 * Files that a file names: imports, dynamic imports, and `new URL(…, import.meta.url)`, as `.ts`
 * paths.
 */
export function referencesOf({ path, text }: SourceFile): string[] {
  const patterns = [
    /\bfrom '(\.[^']+)'/g,
    /\bimport\('(\.[^']+)'\)/g,
    /^import '(\.[^']+)'/gm,
    /\bnew URL\(\s*'(\.[^']+\.c?js)',\s*import\.meta\.url/g,
  ];
  return patterns.flatMap((pattern) =>
    [...text.matchAll(pattern)].map(([, target]) =>
      normalize(join(dirname(path), target.replace(/\.(c?)js$/, '.$1ts'))),
    ),
  );
}

/**
 * The layer a path belongs to: `base` of `src/base/x.ts`; `cli`, the topmost, of `src/index.ts`.
 */
function layerOf(path: string): string {
  const [top, layer, rest] = path.split('/');
  if (top !== 'src') return top;
  return rest === undefined ? 'cli' : layer;
}

/** Why `from` may not import `to`; undefined if it may. */
function forbiddenImport(from: string, to: string): string | undefined {
  const [layer, target] = [layerOf(from), layerOf(to)];
  if (!from.startsWith('src/')) return undefined;
  if (!to.startsWith('src/')) {
    return layer === 'cli' && target === 'bench' ? undefined : 'src stands on its own';
  }
  if (layer === 'client') {
    return CLIENT_IMPORTS.includes(target) ? undefined : `client may not import ${target}`;
  }
  if (target === 'client') return layer === 'cli' ? undefined : `${layer} may not import client`;
  if (!LAYERS.includes(layer)) return `${layer} is no layer`;
  return LAYERS.indexOf(target) <= LAYERS.indexOf(layer)
    ? undefined
    : `${layer} may not import ${target}, a higher layer`;
}

function upwardImports(file: SourceFile): string[] {
  return referencesOf(file).flatMap((target) => {
    // A worker is started, not imported: it is the way up, by its URL.
    if (target.startsWith('workers/')) return [];
    const why = forbiddenImport(file.path, target);
    return why === undefined ? [] : [`${file.path} imports ${target}: ${why}`];
  });
}

/** Adds what is reached from `starts`, through the files that each names, to `reached`. */
function reach(
  starts: readonly string[],
  byPath: ReadonlyMap<string, SourceFile>,
  reached: Set<string>,
): void {
  const toVisit = [...starts];
  for (let path = toVisit.pop(); path !== undefined; path = toVisit.pop()) {
    const file = byPath.get(path);
    if (file === undefined || reached.has(path)) continue;
    reached.add(path);
    toVisit.push(...referencesOf(file));
  }
}

/**
 * Files of src and workers that nothing reaches from what package.json publishes, or from `awaited`
 * faces; and awaited ones that are reached without that. Tests do not count.
 */
export function deadFiles(
  files: readonly SourceFile[],
  manifest: string,
  awaited: readonly string[] = [],
): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const published = [...manifest.matchAll(/dist\/(src\/[\w/-]+)\.js"/g)];
  const reached = new Set<string>();
  const bundled = files.map(({ path }) => path).filter((path) => BUNDLED.test(path));
  reach([...published.map(([, path]) => `${path}.ts`), ...bundled], byPath, reached);
  const noLongerAwaited = awaited
    .filter((path) => reached.has(path))
    .map((path) => `${path}: in use, awaited no more`);
  reach(awaited, byPath, reached);
  const dead = files
    .filter(({ path }) => isShipped(path) && !reached.has(path))
    .map(({ path }) => `${path}: nothing that is published uses it`);
  return [...noLongerAwaited, ...dead];
}

/** What is untidy in one file, a line each. */
export function problemsIn(file: SourceFile): string[] {
  const rules = [bannedLines, wideLines, longFile, longFunctions, badName, upwardImports] as const;
  return rules.flatMap((rule) => rule(file));
}

/** Every TypeScript file of the repository at `root`. */
export function readSources(root: string): SourceFile[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.c?ts$/.test(name) && !name.includes('node_modules'))
      .sort()
      .map((name) => ({
        path: `${folder}/${name}`,
        text: readFileSync(join(root, folder, name), 'utf8'),
      })),
  );
}

/** What is untidy in the repository at `root`, a line each. */
export function findProblems(root: string): string[] {
  const files = readSources(root);
  const manifest = readFileSync(join(root, 'package.json'), 'utf8');
  return [...files.flatMap(problemsIn), ...deadFiles(files, manifest, AWAITED)];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problems = findProblems(fileURLToPath(new URL('../..', import.meta.url)));
  for (const problem of problems) console.log(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
