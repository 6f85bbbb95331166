/** The code of an error, such as `EMFILE`: what to tell errors apart by, unlike their text. */

/** The `code` that Node and this project give to errors; empty when there is none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
