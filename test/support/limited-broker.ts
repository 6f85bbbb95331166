/**
 * A broker in a process of its own, whose memory is nobody else's: run by fork, with the options as
 * JSON. It says where it listens, then its stats whenever it is sent anything.
 */
import { Server } from '../../src/index.js';

const lines: object[] = [];
const note = (fields: object, message: string) => void lines.push({ ...fields, message });
const logger = { debug() {}, info: note, warn: note, error: note };
const server = new Server({ sessionsProvider: 'mem', ...JSON.parse(process.argv[2]!), logger });
await server.listenAndServe('tcp://127.0.0.1:0');
process.send!({ address: server.addresses[0] });
process.on('message', () => process.send!({ stats: server.stats(), lines: lines.splice(0) }));
process.on('disconnect', () => void server.close());
