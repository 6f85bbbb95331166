/** Sets of up to 32 things, a bit each. */

/** The place of the lowest bit that is set, 0 to 31; -1 of 0. */
export function lowestBit(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}
