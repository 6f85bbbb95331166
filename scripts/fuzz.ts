/**
 * `node dist/scripts/fuzz.js [seed] [packets] [seconds]`: stateful sequences against brokers with 2
 * and 3 workers, by turns, until so many packets are sent or so many seconds have passed. Defaults:
 * a random seed, 1,000,000 packets, an hour. A seed that fails is run again by giving it.
 */
import { Random } from '../test/fuzz/random.js';
import { runTraffic, TRAFFIC_OPTIONS } from '../test/fuzz/traffic.js';
import { startBroker } from '../test/support/broker.js';

const PACKETS_PER_BROKER = 250_000;

const [seedText, packetsText, secondsText] = process.argv.slice(2);
const seed = seedText === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(seedText);
const packets = Number(packetsText ?? 1_000_000);
const deadline = Date.now() + Number(secondsText ?? 3_600) * 1_000;
if (!Number.isInteger(seed) || !(packets > 0) || !(deadline > 0)) {
  console.error('usage: node dist/scripts/fuzz.js [seed] [packets] [seconds]');
  process.exit(1);
}

let sent = 0;
let received = 0;
for (let turn = 0; sent < packets && Date.now() < deadline; turn++) {
  const workers = 2 + ((seed + turn) % 2);
  const random = new Random(seed + turn);
  const share = Math.min(PACKETS_PER_BROKER, packets - sent);
  console.log(`seed ${seed + turn}, ${workers} workers, ${sent} packets sent so far`);
  await using broker = await startBroker({ ...TRAFFIC_OPTIONS, workers });
  const isOver = () => Date.now() >= deadline;
  const report = await runTraffic(broker, workers, random, share, isOver);
  sent += report.packets;
  received += report.received;
}
console.log(`seed ${seed}: ${sent} packets sent, ${received} messages received, all as they must`);
