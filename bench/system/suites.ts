/** All suites, by name. */
import { connect } from './connect.js';
import { durable } from './durable.js';
import { fair } from './fair.js';
import { fanIn } from './fan-in.js';
import { fanOut } from './fan-out.js';
import { mesh } from './mesh.js';
import { mixed } from './mixed.js';
import { one } from './one.js';
import { SCENARIOS } from './open-mqtt.js';
import { paced } from './paced.js';
import { pairs } from './pairs.js';
import { retained } from './retained.js';
import { subscribe } from './subscribe.js';
import type { Suite } from './suite.js';

/** In the order of help and reports. */
export const SUITES: ReadonlyMap<string, Suite> = new Map(
  [
    ...[one, fanIn, fanOut, mesh, pairs, paced, connect, subscribe, retained, mixed, fair, durable],
    ...SCENARIOS,
  ].map((suite) => [suite.name, suite]),
);
