/** Numbers as people read them. */
import type { Measure, Unit } from './results.js';

/** Three digits that count: `12.3`, `0.045`, `123`. */
function digits(value: number): string {
  const size = Math.abs(value);
  if (size >= 100 || size === 0) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return size >= 1 ? value.toFixed(2) : value.toPrecision(2);
}

/** Steps of a unit: the smallest value that takes the name, and by what it is divided. */
const STEPS: Readonly<Record<Unit, readonly (readonly [number, string])[]>> = {
  perSecond: [
    [1e6, ' M/s'],
    [1e3, ' k/s'],
    [1, ' /s'],
  ],
  bytesPerSecond: [
    [1e9, ' GB/s'],
    [1e6, ' MB/s'],
    [1e3, ' kB/s'],
    [1, ' B/s'],
  ],
  nanoseconds: [
    [1e9, ' s'],
    [1e6, ' ms'],
    [1e3, ' µs'],
    [1, ' ns'],
  ],
  bytes: [
    [1_048_576, ' MiB'],
    [1_024, ' KiB'],
    [1, ' B'],
  ],
  share: [[0.01, ' %']],
  count: [[1, '']],
};

/** A number with its unit: `12.3 M/s`, `88.0 ns`, `41 %`. */
export function shown(value: number, unit: Unit): string {
  const steps = STEPS[unit];
  const [step, name] = steps.find(([from]) => Math.abs(value) >= from) ?? steps[steps.length - 1];
  return `${digits(value / step)}${name}`;
}

/** A measure's value with its unit. */
export function shownMeasure({ value, unit }: Measure): string {
  return shown(value, unit);
}

/** How many times one value is the other: `x 2.13`. */
export function shownRatio(value: number, base: number): string {
  return `x ${digits(value / base)}`;
}
