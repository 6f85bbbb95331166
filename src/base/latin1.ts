/** The latin1 text of some bytes, without checks that cost as much again as making a short one. */

const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice: (this: Buffer, start: number, end: number) => string;
};

/** @param end no more than the length of its memory. */
export function latin1Text(bytes: Buffer, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end);
}
