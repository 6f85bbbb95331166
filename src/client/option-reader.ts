/** Reading options: values checked one by one, faults gathered. */
import { didYouMean } from '../base/nearest.js';
import type { ValueType } from '../base/value-type.js';

/** Reads options one by one and gathers what is wrong with them. */
export class OptionReader {
  readonly faults: string[] = [];

  /** The value of an option, or its default when it is not given or not allowed. */
  read<T>(name: string, type: ValueType<T>, given: unknown, byDefault: T): T {
    if (given === undefined) return byDefault;
    const value = type.read(given);
    if (value !== undefined) return value;
    this.faults.push(`option ${name} is ${shown(given)}; allowed: ${type.allowed}`);
    return byDefault;
  }

  /** Notes a fault unless `holds`. */
  expect(holds: boolean, fault: string): void {
    if (!holds) this.faults.push(fault);
  }

  /** Names that are no options are faults here: nobody reads a library's warnings. */
  known(options: object, known: Readonly<Record<string, true>>, prefix: string): void {
    for (const name of Object.keys(options)) {
      if (Object.hasOwn(known, name)) continue;
      const hint = didYouMean(name, Object.keys(known));
      this.faults.push(`there is no option ${prefix}${name}${hint}`);
    }
  }
}

/** A given value as a fault shows it. */
export function shown(value: unknown): string {
  const text = typeof value === 'string' ? `'${value}'` : String(value);
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`;
}
