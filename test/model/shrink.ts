/** Finds a short history with the same fault, by leaving out steps while the fault still shows. */
import type { Step } from './history.js';

/** Whether a history still shows the fault; races have it tried several times. */
export type Shows = (steps: readonly Step[]) => Promise<boolean>;

/** Steps without those of one client. */
function withoutSlot(steps: readonly Step[], slot: number): Step[] {
  return steps.filter((step) => !('slot' in step) || step.slot !== slot);
}

/**
 * Leaves out clients, then stretches of steps, long ones first, until nothing more can go or the
 * time is over.
 * @param deadline when to end, as Date.now() counts.
 */
export async function shrink(
  steps: readonly Step[],
  shows: Shows,
  deadline: number,
): Promise<readonly Step[]> {
  let shortest = steps;
  const tryWith = async (fewer: readonly Step[]): Promise<boolean> => {
    if (fewer.length === shortest.length || Date.now() > deadline) return false;
    if (!(await shows(fewer))) return false;
    shortest = fewer;
    return true;
  };
  const slots = new Set(steps.flatMap((step) => ('slot' in step ? [step.slot] : [])));
  for (let isSmaller = true; isSmaller && Date.now() < deadline; ) {
    isSmaller = false;
    for (const slot of slots) {
      if (await tryWith(withoutSlot(shortest, slot))) isSmaller = true;
    }
    let length = Math.ceil(shortest.length / 2);
    for (;;) {
      for (let at = 0; at < shortest.length; ) {
        const fewer = [...shortest.slice(0, at), ...shortest.slice(at + length)];
        if (await tryWith(fewer)) isSmaller = true;
        else at += length;
        if (Date.now() > deadline) return shortest;
      }
      if (length === 1) break;
      length = Math.ceil(length / 2);
    }
  }
  return shortest;
}
