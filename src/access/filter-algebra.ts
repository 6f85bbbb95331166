/** What Topic Filters have in common. All filters here are valid, and keys (topics/topic.ts). */
import { beginsWithDollar, beginsWithWildcard, levelEnd } from '../topics/topic.js';

const ANY_LEVEL = '+';
const ANY_REST = '#';

/**
 * The filter of the topics that both match; null when there are none. Two filters have never more
 * in common than one can say.
 */
export function intersect(one: string, other: string): string | null {
  if (areApart(one, other)) return null;
  const left = one.split('/');
  const right = other.split('/');
  const common: string[] = [];
  for (let at = 0; ; at++) {
    if (left[at] === ANY_REST) return [...common, ...right.slice(at)].join('/');
    if (right[at] === ANY_REST) return [...common, ...left.slice(at)].join('/');
    if (at === left.length && at === right.length) return common.join('/');
    const level = commonLevel(left[at], right[at]);
    if (level === null) return null;
    common.push(level);
  }
}

/** Whether any topic matches both: as `intersect`, without garbage. */
export function overlap(one: string, other: string): boolean {
  if (areApart(one, other)) return false;
  let left = 0;
  let right = 0;
  for (;;) {
    const isLeftOver = left > one.length;
    const isRightOver = right > other.length;
    const isLeftRest = !isLeftOver && one.startsWith(ANY_REST, left);
    const isRightRest = !isRightOver && other.startsWith(ANY_REST, right);
    if (isLeftRest || isRightRest || (isLeftOver && isRightOver)) return true;
    if (isLeftOver || isRightOver) return false;
    const leftEnd = levelEnd(one, left);
    const rightEnd = levelEnd(other, right);
    const areOfAny = one.startsWith(ANY_LEVEL, left) || other.startsWith(ANY_LEVEL, right);
    if (!areOfAny && !isSameLevel(one, left, leftEnd, other, right, rightEnd)) return false;
    left = leftEnd + 1;
    right = rightEnd + 1;
  }
}

/** Whether every topic that `inner` matches is one that `outer` matches. */
export function covers(outer: string, inner: string): boolean {
  if (isHiddenFrom(outer, inner)) return false;
  const wide = outer.split('/');
  // Every topic has a first level.
  const narrow = inner === ANY_REST ? [ANY_LEVEL, ANY_REST] : inner.split('/');
  for (let at = 0; ; at++) {
    if (wide[at] === ANY_REST) return true;
    if (narrow[at] === ANY_REST) return false;
    if (at === wide.length || at === narrow.length) return wide.length === narrow.length;
    if (wide[at] !== ANY_LEVEL && wide[at] !== narrow[at]) return false;
  }
}

/** Whether what stands first tells that no topic matches both. */
function areApart(one: string, other: string): boolean {
  if (isHiddenFrom(one, other) || isHiddenFrom(other, one)) return true;
  return meetInNothing(one, other) || meetInNothing(other, one);
}

/** The one topic that both would match is empty, and so no topic [MQTT-4.7.3-1]. */
function meetInNothing(one: string, other: string): boolean {
  return one === ANY_LEVEL && other === `/${ANY_REST}`;
}

/** Whether all that a filter matches begins with `$`, which a first wildcard does not match. */
function isHiddenFrom(filterKey: string, other: string): boolean {
  return beginsWithWildcard(filterKey) && beginsWithDollar(other);
}

function commonLevel(one: string | undefined, other: string | undefined): string | null {
  if (one === undefined || other === undefined) return null;
  if (one === ANY_LEVEL) return other;
  return other === ANY_LEVEL || one === other ? one : null;
}

function isSameLevel(
  one: string,
  start: number,
  end: number,
  other: string,
  otherStart: number,
  otherEnd: number,
): boolean {
  if (end - start !== otherEnd - otherStart) return false;
  for (let at = start; at < end; at++) {
    if (one.charCodeAt(at) !== other.charCodeAt(otherStart + at - start)) return false;
  }
  return true;
}
