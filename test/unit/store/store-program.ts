/**
 * A process that works on a store until it is killed, and says on its output what is durable:
 * `node store-program.js <folder> <seed>`. With SIGUSR2 its disk is full, with another one not.
 */
import { TemporaryStore } from './temporary-store.js';
import { GROWTH, Workload } from './workload.js';

const [folder = '', seed = '1'] = process.argv.slice(2);
const store = new TemporaryStore({ after: () => {} }, folder);
const workers = [0, 1].map((index) => ({
  index,
  ...store.journal(),
  workload: new Workload(Number(seed), index),
}));
let said = 0;
process.on('SIGUSR2', () => {
  store.isDiskFull = !store.isDiskFull;
});

async function work({ index, journal, settled, workload }: (typeof workers)[number]) {
  for (;;) {
    // So that the file must grow.
    journal.retain(`${GROWTH} ${index} ${workload.steps}`, `1${'x'.repeat(5_000)}`);
    for (let n = 0; n < 20; n++) {
      workload.step(journal);
      if (n % 5 === 0) journal.submit();
    }
    const { steps } = workload;
    await settled();
    process.stdout.write(`durable ${index} ${steps}\n`);
  }
}

for (const worker of workers) void work(worker);
setInterval(() => {
  const { failures } = store;
  for (; said < failures.length; said++) process.stdout.write(`${failures[said] ?? 'well'}\n`);
}, 5);
