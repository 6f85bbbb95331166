/** Topics and filters for property tests: few short levels, so that they meet often. */
import fc from 'fast-check';
import { toTopicKey } from '../../../src/topics/topic.js';

const level = fc.constantFrom('', 'a', 'b', 'ab', '$', '$SYS', 'é', 'a level of its own');

/** Valid topic name keys of 1 to 5 levels. */
export const topicKey = fc
  .array(level, { minLength: 1, maxLength: 5 })
  .map((levels) => toTopicKey(levels.join('/')))
  .filter((key) => key !== '');

/** The same, of levels whose order as bytes is not that of the levels, and parts of each other. */
export const oddTopicKey = fc
  .array(
    fc.constantFrom('', 'a', 'b', 'a!', 'a!b', 'a0', 'b$', '$', '%', '0', '!', 'é', '\u0001'),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((levels) => toTopicKey(levels.join('/')))
  .filter((key) => key !== '');

/** Valid topic filter keys of 1 to 6 levels, with and without wildcards. */
export const filterKey = fc
  .tuple(
    fc.array(fc.oneof(level, fc.constant('+')), { minLength: 0, maxLength: 5 }),
    fc.constantFrom('', '#'),
  )
  .map(([levels, last]) => toTopicKey((last === '' ? levels : [...levels, last]).join('/')))
  .filter((key) => key !== '');
