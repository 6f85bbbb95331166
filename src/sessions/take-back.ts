/** What a session has as a member of groups, on its way back to them. */
import { frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import type { Membership } from './membership.js';

/**
 * Is given frames [start, end) of a run, `count` of them, from a position on, and what is noted of
 * their entry.
 */
export type TakeBack = (
  run: Run,
  start: number,
  end: number,
  count: number,
  note: Membership,
  position: number,
) => void;

/**
 * Gives those of the first `count` frames of a run that are taken, in stretches.
 * @param first position of its first message.
 */
export function takeFrames(
  run: Run,
  count: number,
  first: number,
  note: Membership,
  isTaken: (index: number) => boolean,
  take: TakeBack,
): void {
  const { bytes } = run;
  let start = 0;
  let taken = 0;
  let position = 0;
  for (let index = 0; index <= count; index++) {
    if (index < count && isTaken(index)) {
      if (taken++ === 0) start = position;
    } else if (taken > 0) {
      take(run, start, position, taken, note, first + index - taken);
      taken = 0;
    }
    if (index < count) position = frameEnd(bytes, position);
  }
}
