/**
 * The mutation table: what is broken on purpose, and the test that must turn red for it. A file for
 * each folder of src that is broken. Run by `npm run mutate`; test/tidy.test.ts says at once when a
 * text is no longer where it was.
 */

/** A piece of text that stands once in a file, and what it is replaced by. */
export interface Edit {
  readonly file: string;
  readonly text: string;
  readonly by: string;
}

/** A rule that is broken. */
export interface Mutation {
  /** What the broker does then, behind a theme. */
  readonly name: string;
  /** Test file that guards the rule, below test/. */
  readonly test: string;
  /** Part of the name of the test in it that must fail. */
  readonly red: string;
  readonly edits: readonly Edit[];
}
