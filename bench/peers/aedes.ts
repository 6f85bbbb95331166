/** Runs aedes on the port given as argument. Started by `surgemq bench compare aedes`. */
import { createServer, type Socket } from 'node:net';
import { pathToFileURL } from 'node:url';
import { aedesUrl } from '../support/peers.js';

/** What is used of aedes. */
interface AedesModule {
  readonly Aedes: { createBroker(): Promise<{ handle(socket: Socket): void }> };
}

const url = aedesUrl();
if (url === null) throw new Error('aedes is not installed');
const { Aedes } = (await import(pathToFileURL(url).href)) as AedesModule;
const broker = await Aedes.createBroker();
createServer({ noDelay: true }, (socket) => broker.handle(socket)).listen(
  Number(process.argv[2]),
  '127.0.0.1',
  1_024,
);
