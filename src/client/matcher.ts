/** Whether topics match filters, for programs that sort messages themselves. */
import { ArgumentError } from '../base/errors.js';
import { matchesTail, toTopicKey } from '../topics/topic.js';
import { checkedFilter } from './subscribe-arguments.js';
import { isTopicName } from './text.js';

/**
 * Whether a topic filter matches a topic name (MQTT 3.1.1, section 4.7): `+` is one level, `#` at
 * the end any number of levels, the parent's included; a filter that begins with a wildcard does
 * not match topics that begin with `$` [MQTT-4.7.2-1].
 * @throws ArgumentError for what is no filter, or no topic name.
 */
export function matches(filter: string, topic: string): boolean {
  return compileFilter(filter)(topic);
}

/**
 * The same for one filter and many topics: the filter is checked once.
 * @returns a function that tells whether a topic name matches; it throws ArgumentError for none.
 * @throws ArgumentError for what is no filter.
 */
export function compileFilter(filter: string): (topic: string) => boolean {
  const filterKey = toTopicKey(checkedFilter(filter));
  const hidesDollar = filterKey.startsWith('+') || filterKey.startsWith('#');
  return (topic) => {
    if (!isTopicName(topic)) throw new ArgumentError(`'${String(topic)}' is no topic name`);
    if (hidesDollar && topic.startsWith('$')) return false;
    return matchesTail(filterKey, 0, toTopicKey(topic), 0);
  };
}
