/** Globals of Node that the client uses: the bundle has these in their place. */
export { Buffer } from './buffer.js';
export { setImmediate } from './set-immediate.js';
