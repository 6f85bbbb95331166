/**
 * Reads a mosquitto.conf into directives, each with its place. What they mean is another matter:
 * see mosquitto-import.ts.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../base/errors.js';
import { CONFIG_FILE_BYTES_MAX, INCLUDED_FILES_MAX } from '../base/limits.js';
import { showBytes } from '../base/value-type.js';

/** One line that says something. */
export interface Directive {
  readonly name: string;
  /** The rest of the line; empty: there is none. */
  readonly value: string;
  /** `mosquitto.conf:12`. */
  readonly place: string;
}

/**
 * The directives of a file, those of the files that `include_dir` names in their places, as
 * Mosquitto reads them: all that end in .conf, by their names, and no directory within.
 * @throws ConfigError with a line for each file that cannot be read.
 */
export function readMosquittoConf(path: string): Directive[] {
  const faults: string[] = [];
  const directives = fileOf(path, faults).flatMap((directive) => {
    if (directive.name !== 'include_dir') return [directive];
    return includedBy(directive, faults);
  });
  if (faults.length > 0) throw new ConfigError(faults);
  return directives;
}

function includedBy({ value, place }: Directive, faults: string[]): Directive[] {
  let names: string[];
  try {
    names = readdirSync(value).filter((name) => name.endsWith('.conf'));
  } catch (error) {
    faults.push(`${place}: include_dir ${value}: ${messageOf(error)}`);
    return [];
  }
  if (names.length > INCLUDED_FILES_MAX) {
    faults.push(`${place}: include_dir ${value} has more than ${INCLUDED_FILES_MAX} files`);
    return [];
  }
  return names.toSorted().flatMap((name) => fileOf(join(value, name), faults));
}

function fileOf(path: string, faults: string[]): Directive[] {
  try {
    const { size } = statSync(path);
    if (size > CONFIG_FILE_BYTES_MAX) {
      throw new Error(`is larger than ${showBytes(CONFIG_FILE_BYTES_MAX)}`);
    }
    return parseMosquittoConf(readFileSync(path, 'utf8'), path);
  } catch (error) {
    faults.push(`${path}: ${messageOf(error)}`);
    return [];
  }
}

/** The directives of a text. @param name of its file. */
export function parseMosquittoConf(text: string, name: string): Directive[] {
  return text.split(/\r?\n/).flatMap((line, at) => {
    // A # further on belongs to the value, such as a filter's.
    const parts = /^\s*([^\s#]\S*)\s*(.*?)\s*$/.exec(line);
    if (parts === null) return [];
    return [{ name: parts[1], value: parts[2], place: `${name}:${at + 1}` }];
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
