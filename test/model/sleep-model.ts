/**
 * Ring, sleep flag, doorbell and want-room flag of `router/ring.ts`, `router/peer-link.ts` and
 * `shard/turn.ts`, a writer and its readers, step by step. Positions count records, not bytes.
 */
import type { Move, StepModel } from './explore.js';

/** Where the real protocol is left, to see that the search finds it. */
export type SleepMutation =
  /** Sleeps without looking for records once more. */
  | 'no second look'
  /** Looks for records before it says that it sleeps. */
  | 'look before flag'
  /** Looks whether anybody sleeps before the head is stored. */
  | 'flag before head'
  /** Waits for room without looking once more. */
  | 'no second look for room'
  /** Rings nobody for whom there is nothing new, however full the ring is. */
  | 'rings the concerned only';

interface Reader {
  at: 'wake' | 'read' | 'tail' | 'room' | 'flag' | 'look' | 'poll';
  /** Something was read: it reads again. */
  again: boolean;
  tail: number;
  /** Tail that is still to be stored. */
  next: number;
  sleeps: number;
  bell: number;
  handled: number;
}

interface State {
  writer: {
    at: 'fill' | 'want' | 'refill' | 'peek' | 'head' | 'bells' | 'poll';
    /** Records that it has been given, by its sockets. */
    arrived: number;
    put: number;
    isFull: boolean;
    touched: number;
    /** Reader that is looked at next. */
    reader: number;
    /** Flags read before the head was stored, for a mutation. */
    sleepers: number;
  };
  head: number;
  wantRoom: number;
  writerBell: number;
  readers: Reader[];
}

/** Records, each with the mask of the readers that it is for, and the room of the ring. */
export interface SleepOptions {
  readonly records: readonly number[];
  readonly capacity: number;
  readonly readers: number;
  readonly mutation?: SleepMutation;
}

/** Writer and readers until all records are handled. */
export function sleepModel(options: SleepOptions): StepModel<State> {
  const { records, capacity, mutation } = options;
  const readers = Array.from({ length: options.readers }, (): Reader => {
    return { at: 'wake', again: false, tail: 0, next: 0, sleeps: 0, bell: 0, handled: 0 };
  });

  const beforeHead = mutation === 'flag before head' ? 'peek' : 'head';

  const fill = (state: State): void => {
    const { writer } = state;
    const slowest = Math.min(...state.readers.map(({ tail }) => tail));
    while (writer.put < writer.arrived && writer.put - slowest < capacity) {
      writer.touched |= records[writer.put];
      writer.put++;
    }
  };

  const writerMove = (make: (state: State) => void, name: string): Move<State> => {
    return { name: `writer: ${name}`, make };
  };

  const ringBells = (state: State): void => {
    const { writer } = state;
    const index = writer.reader++;
    const reader = state.readers[index];
    const isConcerned = (writer.touched & (1 << index)) !== 0;
    const isInTheWay =
      mutation !== 'rings the concerned only' &&
      (writer.isFull || state.head - reader.tail > capacity / 2);
    const sleeps = mutation === 'flag before head' ? (writer.sleepers >> index) & 1 : reader.sleeps;
    if ((isConcerned || isInTheWay) && sleeps === 1) {
      // Load and compare-exchange: nobody but the reader itself takes the flag otherwise.
      if (reader.sleeps === 1) reader.bell = 1;
      reader.sleeps = 0;
    }
    if (writer.reader < state.readers.length) return;
    writer.at = 'poll';
    writer.reader = 0;
    writer.touched = 0;
  };

  const movesOfWriter = (state: State): Move<State>[] => {
    switch (state.writer.at) {
      case 'fill':
        return [
          writerMove((s) => {
            fill(s);
            s.writer.isFull = s.writer.put < s.writer.arrived;
            s.writer.at = s.writer.isFull ? 'want' : beforeHead;
          }, 'puts what has room'),
        ];
      case 'want':
        return [
          writerMove((s) => {
            s.wantRoom = 1;
            s.writer.at = mutation === 'no second look for room' ? beforeHead : 'refill';
          }, 'wants room'),
        ];
      case 'refill':
        return [
          writerMove((s) => {
            fill(s);
            s.writer.isFull = s.writer.put < s.writer.arrived;
            s.writer.at = beforeHead;
          }, 'looks for room once more'),
        ];
      case 'peek':
        return [
          writerMove((s) => {
            s.writer.sleepers = s.readers.reduce((m, r, i) => m | (r.sleeps << i), 0);
            s.writer.at = 'head';
          }, 'looks who sleeps'),
        ];
      case 'head':
        return [
          writerMove((s) => {
            if (s.head === s.writer.put && !s.writer.isFull) {
              s.writer.at = 'poll';
              return;
            }
            s.head = s.writer.put;
            s.writer.at = 'bells';
          }, 'stores the head'),
        ];
      case 'bells':
        return [writerMove(ringBells, 'rings who sleeps')];
      case 'poll':
        return [
          ...(state.writerBell === 1
            ? [
                writerMove((s) => {
                  s.writerBell = 0;
                  s.writer.at = 'fill';
                }, 'is rung'),
              ]
            : []),
          ...(state.writer.arrived < records.length
            ? [
                writerMove((s) => {
                  s.writer.arrived++;
                  s.writer.at = 'fill';
                }, 'is given a record'),
              ]
            : []),
        ];
    }
  };

  /** What reader `index` does next. */
  const stepOfReader = (state: State, index: number): (() => void) | null => {
    const reader = state.readers[index];
    const takeWaiting = (): void => {
      if (state.wantRoom === 1) state.writerBell = 1;
      state.wantRoom = 0;
    };
    switch (reader.at) {
      case 'wake':
        return () => {
          reader.sleeps = 0;
          reader.at = 'read';
        };
      case 'read':
        return () => {
          reader.next = state.head;
          for (let at = reader.tail; at < reader.next; at++) {
            if ((records[at] & (1 << index)) !== 0) reader.handled++;
          }
          reader.again = reader.next > reader.tail;
          reader.at = reader.again ? 'tail' : 'room';
        };
      case 'tail':
        return () => {
          reader.tail = reader.next;
          reader.at = 'room';
        };
      case 'room':
        return () => {
          takeWaiting();
          if (reader.again) reader.at = 'read';
          else reader.at = mutation === 'look before flag' ? 'look' : 'flag';
        };
      case 'flag':
        return () => {
          reader.sleeps = 1;
          const looksNot = mutation === 'no second look' || mutation === 'look before flag';
          reader.at = looksNot ? 'poll' : 'look';
        };
      case 'look':
        return () => {
          if (state.head > reader.tail) reader.at = 'wake';
          else reader.at = mutation === 'look before flag' ? 'flag' : 'poll';
        };
      case 'poll':
        if (reader.bell === 0) return null;
        return () => {
          reader.bell = 0;
          reader.at = 'wake';
        };
    }
  };

  const movesOfReader = (state: State, index: number): Move<State>[] => {
    if (stepOfReader(state, index) === null) return [];
    const name = `reader ${index}: ${state.readers[index].at}`;
    return [{ name, make: (s) => stepOfReader(s, index)!() }];
  };

  return {
    initial: {
      writer: { at: 'poll', arrived: 0, put: 0, isFull: false, touched: 0, reader: 0, sleepers: 0 },
      head: 0,
      wantRoom: 0,
      writerBell: 0,
      readers,
    },
    moves: (state) => [
      ...movesOfWriter(state),
      ...state.readers.flatMap((_, index) => movesOfReader(state, index)),
    ],
    fault: ({ head, writer, readers: all }) => {
      if (all.some(({ tail, next }) => tail > head || next > head))
        return 'a reader passes the head';
      const overwritten = all.some(({ tail }) => writer.put - tail > capacity);
      return overwritten ? 'a record is overwritten before it is read' : null;
    },
    stuck: ({ writer, readers: all }) => {
      const handled = all.every(({ handled: count }, index) => {
        return count === records.filter((mask) => (mask & (1 << index)) !== 0).length;
      });
      if (writer.put < records.length) return 'the writer waits for room for ever';
      return handled ? null : 'a reader sleeps for ever beside a record';
    },
  };
}
