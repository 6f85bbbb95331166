/**
 * Explores all schedules of a few threads that are stepped by hand. Each step is one atomic
 * operation on shared words, with what its thread does alone up to the next; JavaScript's Atomics
 * are sequentially consistent, so every execution of real threads is one of these schedules.
 */

/** Plain data, which is what tells two states apart. */
export type Plain =
  | number
  | string
  | boolean
  | null
  | readonly Plain[]
  | { readonly [name: string]: Plain };

/** One thing that can happen next. */
export interface Move<S> {
  readonly name: string;
  /** Changes the state, which is the move's own. */
  readonly make: (state: S) => void;
}

/** Threads and what must hold of them. */
export interface StepModel<S> {
  readonly initial: S;
  /** All that can happen in a state. */
  readonly moves: (state: S) => readonly Move<S>[];
  /** What is wrong with a state, if anything. */
  readonly fault: (state: S) => string | null;
  /** What is wrong with a state in which nothing can happen any more, if anything. */
  readonly stuck: (state: S) => string | null;
}

/** What an exploration has found. */
export interface Exploration {
  readonly states: number;
  /** The shortest schedule that leads to a fault, and the fault. */
  readonly fault: { readonly text: string; readonly schedule: readonly string[] } | null;
}

/**
 * Visits every state, those that take the fewest steps first.
 * @param statesMax the bound; a model of more states is an error, as nothing would be proved.
 * @throws Error at the bound.
 */
export function explore<S extends object>(model: StepModel<S>, statesMax: number): Exploration {
  const first = JSON.stringify(model.initial);
  /** How each state was reached. */
  const known = new Map<string, { readonly from: string; readonly name: string } | null>();
  known.set(first, null);
  const scheduleTo = (key: string): string[] => {
    const schedule: string[] = [];
    for (let at = known.get(key); at !== null && at !== undefined; at = known.get(at.from)) {
      schedule.unshift(at.name);
    }
    return schedule;
  };
  let wave = [first];
  while (wave.length > 0) {
    const next: string[] = [];
    for (const key of wave) {
      const state = JSON.parse(key) as S;
      const moves = model.moves(state);
      const text = model.fault(state) ?? (moves.length === 0 ? model.stuck(state) : null);
      if (text !== null) {
        return { states: known.size, fault: { text, schedule: scheduleTo(key) } };
      }
      for (const { name, make } of moves) {
        const after = JSON.parse(key) as S;
        make(after);
        const afterKey = JSON.stringify(after);
        if (known.has(afterKey)) continue;
        known.set(afterKey, { from: key, name });
        next.push(afterKey);
      }
    }
    if (known.size > statesMax) throw new Error(`more than ${statesMax} states`);
    wave = next;
  }
  return { states: known.size, fault: null };
}

/**
 * The model from where a schedule leads to: a part of it that is small enough to be explored.
 * @throws Error when the schedule is none.
 */
export function behind<S extends object>(
  model: StepModel<S>,
  schedule: readonly string[],
): StepModel<S> {
  const initial = structuredClone(model.initial);
  for (const name of schedule) {
    const move = model.moves(initial).find((each) => each.name === name);
    if (move === undefined) throw new Error(`"${name}" cannot happen there`);
    move.make(initial);
  }
  return { ...model, initial };
}
