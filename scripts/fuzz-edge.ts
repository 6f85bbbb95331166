/**
 * `node dist/scripts/fuzz-edge.js [seed] [streams] [seconds]`: PROXY protocol headers and
 * WebSockets gone wrong against brokers with 1 to 3 workers, by turns, until so many streams are
 * sent or so many seconds have passed. Defaults: a random seed, 100,000 streams, an hour. A seed
 * that fails is run again by giving it.
 */
import { fuzzEdge } from '../test/fuzz/edge.js';

const STREAMS_PER_BROKER = 2_000;

const [seedText, streamsText, secondsText] = process.argv.slice(2);
const seed = seedText === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(seedText);
const streams = Number(streamsText ?? 100_000);
const deadline = Date.now() + Number(secondsText ?? 3_600) * 1_000;
if (!Number.isInteger(seed) || !(streams > 0) || !(deadline > 0)) {
  console.error('usage: node dist/scripts/fuzz-edge.js [seed] [streams] [seconds]');
  process.exit(1);
}

let sent = 0;
for (let turn = 0; sent < streams && Date.now() < deadline; turn++) {
  const share = Math.min(STREAMS_PER_BROKER, streams - sent);
  console.log(`seed ${seed + turn}, ${sent} streams sent so far`);
  await fuzzEdge(seed + turn, 1 + (turn % 3), share);
  sent += share;
}
console.log(`seed ${seed}: ${sent} streams sent, nobody noticed, nothing is left`);
