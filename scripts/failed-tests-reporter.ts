/**
 * A reporter for node's test runner that says nothing until the end, and then names the tests that
 * failed, each with its file and its error. Among five thousand results nobody finds the one.
 */
import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

/** The most lines of one error that are printed: enough for what differs and where. */
const ERROR_LINES = 30;

/** Yields one text, when all tests have ended: empty where none failed. */
export default async function* failedTests(
  source: AsyncIterable<TestEvent>,
): AsyncGenerator<string> {
  const failed: string[] = [];
  for await (const event of source) {
    if (event.type !== 'test:fail') continue;
    const { name, file, details } = event.data;
    const error = details.error as Error & { cause?: unknown; failureType?: string };
    // A suite fails because something in it did, which is named itself.
    if (error.failureType === 'subtestsFailed') continue;
    const cause = error.cause instanceof Error ? error.cause.stack : String(error.cause ?? error);
    const lines = String(cause).split('\n').slice(0, ERROR_LINES);
    const place = file === undefined ? '' : ` (${relative(process.cwd(), file)})`;
    failed.push([`FAILED: ${name}${place}`, ...lines].join('\n  '));
  }
  if (failed.length > 0) yield `\n${failed.join('\n')}\n`;
}
