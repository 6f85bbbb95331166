import { connect } from '../../src/client/index.js';

const client = await connect('tcp://127.0.0.1:1883', { clientId: 'surgemq', keepAlive: 10 });

// Each subscription has a handler of its own. Resolves at SUBACK.
await client.subscribe({ filter: 'abc/#', qos: 1 }, (message) => {
  process.stdout.write(`${message.topic}: ${message.payload}\n`);
});

// Resolves at PUBACK.
await client.publish('abc/def', 'a message', { qos: 1 });

await client.disconnect();
