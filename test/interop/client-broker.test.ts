/** Our client library with our broker. */
import { startBroker } from '../support/broker.js';
import { clientSuite } from './client-suite.js';

for (const workers of [1, 3]) {
  clientSuite(`the client library with our broker, workers: ${workers}`, () =>
    startBroker({ workers }),
  );
}
