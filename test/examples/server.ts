import { Server } from '../../src/index.js';

const server = new Server({
  keepAlive: 300,
  connectTimeout: 10,
  ackTimeout: 20,
  timeoutRetries: 3,
  authenticator: 'mockSuccess',
  sessionsProvider: 'mem',
  topicsProvider: 'mem',
});
await server.listenAndServe('tcp://127.0.0.1:1883');

// The program may publish as well, and close the broker when it is done.
await server.publish({ topic: 'news', payload: 'hello', qos: 1, retain: true });
await server.close();
