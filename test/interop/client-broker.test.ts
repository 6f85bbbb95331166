/** Our client library with our broker. */
import { startBroker } from '../support/broker.js';
import { clientSuite } from './client-suite.js';

for (const workers of [1, 3]) {
  for (const protocolVersion of [4, 5] as const) {
    const title = `the client library with our broker, workers: ${workers}`;
    clientSuite(`${title}, protocol ${protocolVersion}`, () => startBroker({ workers }), {
      protocolVersion,
      protocolFallback: false,
    });
  }
}
