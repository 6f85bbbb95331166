/**
 * What durability costs: each row by itself, against brokers that keep what they acknowledge and
 * against ours with everything in memory, rounds interleaved.
 */
import type { DurableRow } from '../support/durable-rows.js';
import type { SuiteContext } from '../support/measure-load.js';
import { DURABLE_PEERS, OURS_IN_MEMORY } from '../support/peers.js';
import type { Round } from '../support/results.js';
import { retained, start } from './durable-kept.js';
import { PUBLISHERS } from './durable-load.js';
import {
  absent,
  backlog,
  clean,
  connected,
  fanOut,
  roundTrip,
  SESSIONS,
} from './durable-queues.js';
import type { Suite } from './suite.js';

const ROWS: Readonly<Record<DurableRow, (context: SuiteContext) => Promise<Round>>> = {
  absent,
  connected,
  'round-trip': roundTrip,
  'fan-out': fanOut,
  clean,
  backlog,
  retained,
  start,
};

export const durable: Suite = {
  name: 'durable',
  isTcpOnly: true,
  connections: ({ clients, scale }) =>
    (clients || PUBLISHERS) + Math.ceil((SESSIONS * Math.max(100, scale)) / 100) + 2,
  summary:
    'what keeping on disk costs (--rows, --scale), beside everything in memory and beside ' +
    'Mosquitto with autosave: lost is what was acknowledged and never came',
  parts: ({ rows }) =>
    rows.flatMap((row) => {
      const label = `row=${row}`;
      if (row !== 'clean') return [{ label, settings: { rows: [row] } }];
      return ([0, 1] as const).map((qos) => ({
        label: `${label} qos=${qos}`,
        settings: { rows: [row], qos },
      }));
    }),
  // What is in memory alone is gone at a start.
  peers: ({ rows: [row] }) =>
    row === 'start' ? DURABLE_PEERS : [DURABLE_PEERS[0], OURS_IN_MEMORY, ...DURABLE_PEERS.slice(1)],
  run: (context) => ROWS[context.settings.rows[0] as DurableRow](context),
};
