/** The EventEmitter of browsers beside Node's: the same calls are told, in the same order. */
import assert from 'node:assert/strict';
import { EventEmitter as NodeEventEmitter } from 'node:events';
import { test } from 'node:test';
import { EventEmitter } from '../../../src/client/browser/event-emitter.js';

/** What happens to one emitter, as lines. */
function story(emitter: EventEmitter): unknown[] {
  const seen: unknown[] = [];
  const told =
    (name: string) =>
    (...values: unknown[]): void => {
      seen.push([name, ...values]);
    };
  const twice = told('twice');
  emitter.on('newListener', (name) => seen.push(['new', name, emitter.listenerCount('a')]));
  emitter.on('a', twice).addListener('a', twice).once('a', told('once'));
  seen.push(emitter.emit('a', 1, 2), emitter.emit('a', 3), emitter.emit('b'));
  emitter.off('a', twice);
  emitter.emit('a', 4);
  emitter.removeListener('a', twice).off('a', twice);
  seen.push(emitter.listenerCount('a'), emitter.emit('a', 5));
  const removed = told('removed');
  emitter.once('c', removed);
  emitter.off('c', removed);
  // One that goes while it is told: those that were there are told all the same.
  const last = told('last');
  emitter.on('d', () => emitter.off('d', last));
  emitter.on('d', last);
  emitter.emit('d');
  emitter.emit('d');
  emitter.emit('c');
  assert.throws(() => emitter.emit('error', new RangeError('nobody listens')), RangeError);
  emitter.on('error', told('error'));
  emitter.emit('error', 'told');
  emitter.removeAllListeners('d');
  emitter.removeAllListeners();
  seen.push(emitter.emit('error2'), emitter.listenerCount('d'), emitter.listenerCount('error'));
  return seen;
}

test('an EventEmitter does in a browser what it does in Node', () => {
  const expected = story(new NodeEventEmitter() as unknown as EventEmitter);
  assert.deepEqual(story(new EventEmitter()), expected);
});
