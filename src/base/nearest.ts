/** "Did you mean": the nearest of some known names, where one is near. */

/** What names of one kind have in common in front: it makes none of them nearer to another. */
const COMMON_FRONT = /^(?:-+|SURGEMQ_(?:BENCH_)?)/;
/** One slip in so many characters. */
const CHARACTERS_PER_EDIT = 3;
/** So much of a name's beginning stands for the name. */
const BEGINNING_LENGTH_MIN = 3;

/**
 * Single-character insertions, removals, replacements and swaps of neighbours that make `from` into
 * `to`.
 */
export function editDistance(from: string, to: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const isSame = from[row - 1] === to[column - 1];
      const isSwap = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      current.push(
        Math.min(
          previous[column - 1] + (isSame ? 0 : 1),
          previous[column] + 1,
          current[column - 1] + 1,
          row > 1 && column > 1 && isSwap ? beforePrevious[column - 2] + 1 : row + column,
        ),
      );
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[to.length];
}

/**
 * The name of `known` (the first of several) that fewest edits make of `name`, or that `name` is
 * the beginning of; undefined where none is so near that a slip could have made the one of the
 * other.
 */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  const given = name.replace(COMMON_FRONT, '').toLowerCase();
  let nearest: string | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const meant = candidate.replace(COMMON_FRONT, '').toLowerCase();
    const isBeginning = given.length >= BEGINNING_LENGTH_MIN && meant.startsWith(given);
    const edits = isBeginning ? 1 : editDistance(given, meant);
    const longest = Math.max(given.length, meant.length);
    if (edits * CHARACTERS_PER_EDIT <= longest && edits < fewest) {
      nearest = candidate;
      fewest = edits;
    }
  }
  return nearest;
}

/** `; did you mean X?` with the nearest name, to end a sentence about a name that is not known. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const nearest = nearestName(name, known);
  return nearest === undefined ? '' : `; did you mean ${nearest}?`;
}
