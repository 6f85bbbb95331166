/** The store thread. */
import { parentPort, workerData } from 'node:worker_threads';
import type { StoreStart } from '../src/store/store-messages.js';
import { runStore } from '../src/store/store-task.js';

runStore(workerData as StoreStart, parentPort!);
