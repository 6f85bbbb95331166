import { readFileSync } from 'node:fs';
import { connect } from '../../src/client/index.js';

// `ca` is for roots of your own, `cert` and `key` for servers that want to know who comes.
export const client = await connect('mqtts://broker.example', {
  tls: { ca: readFileSync('ca.crt'), cert: readFileSync('me.crt'), key: readFileSync('me.key') },
});
