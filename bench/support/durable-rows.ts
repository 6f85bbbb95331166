/** What the suite `durable` measures: the name of each row, and what it is. */
export const DURABLE_ROWS = {
  absent: '20 publishers (--clients) of QoS 1, 64 in flight each, for one absent subscriber',
  connected: 'the same with the subscriber connected',
  'round-trip':
    'one publisher, one message in flight, for an absent subscriber, beside fdatasync of the ' +
    'same disk',
  'fan-out': 'one publisher to 1,000 absent sessions',
  clean: 'one publisher to one subscriber at QoS 0 and at QoS 1, whose sessions are not kept',
  backlog: '1,000,000 messages wait for an absent subscriber, who then comes back',
  retained: '100,000 topics set at QoS 1 (--count), then # subscribed',
  start: 'a start with 1,000,000 retained messages and 100,000 sessions, in order and killed',
} as const;

/** Name of a row. */
export type DurableRow = keyof typeof DURABLE_ROWS;
