/**
 * A shard that only speaks the control messages, and can be told to misbehave. How it starts is
 * told by `config.topics` (a free text to the primary); what it does then by the topic of an
 * injected message.
 */
import { Socket } from 'node:net';
import type { ShardStart, ToPrimary, ToShard } from '../../src/shard/control.js';

/** Values of `config.topics`. */
export const FAKE_START = {
  ordinary: 'fake:ordinary',
  failsAtStart: 'fake:fails-at-start',
  hangsAtStart: 'fake:hangs-at-start',
  successorFails: 'fake:successor-fails',
  neverWelcomes: 'fake:never-welcomes',
  neverQuiesces: 'fake:never-quiesces',
  neverStops: 'fake:never-stops',
  hangsAtStop: 'fake:hangs-at-stop',
} as const;

/**
 * Topics of injected messages. The payload may be a JSON list of messages to say to the primary
 * first.
 */
export const FAKE_TOPIC = {
  die: 'fake/die',
  reject: 'fake/reject',
  end: 'fake/end',
  exit: 'fake/exit',
  say: 'fake/say',
} as const;

/** Throws where nobody catches: the thread dies, as a shard's does. */
function dieOf(error: Error): Promise<never> {
  setImmediate(() => {
    throw error;
  });
  return new Promise(() => {});
}

export default async function fakeShard(start: ShardStart): Promise<void> {
  const { port, shardIndex, isReplacement } = start;
  const mode = start.config.topics;
  const say = (message: ToPrimary): void => port.postMessage(message);
  if (mode === FAKE_START.failsAtStart && shardIndex === start.shardCount - 1) {
    return dieOf(new Error('no such provider', { cause: new Error('module not found') }));
  }
  if (mode === FAKE_START.successorFails && isReplacement) return dieOf(new Error('still broken'));
  if (mode === FAKE_START.hangsAtStart) for (;;);
  return new Promise<void>((resolve, reject) => {
    const finish = (): void => {
      port.close();
      resolve();
    };
    const onMessage = (message: ToShard) => {
      say({ kind: 'log', level: 'debug', fields: { got: message }, message: 'fake' });
      if (message.kind === 'peer-new' && mode !== FAKE_START.neverWelcomes) {
        say({ kind: 'peer-welcomed', shardIndex: message.shardIndex });
      } else if (message.kind === 'quiesce' && mode !== FAKE_START.neverQuiesces) {
        say({ kind: 'quiesced' });
      } else if (message.kind === 'stop') {
        if (mode === FAKE_START.hangsAtStop) for (;;);
        if (mode !== FAKE_START.neverStops) finish();
      } else if (message.kind === 'publish') {
        const { topic, payload } = message.message;
        const isForUs = topic.startsWith('fake/') && payload.length > 0;
        const said = isForUs ? JSON.parse(Buffer.from(payload).toString()) : [];
        for (const each of said as ToPrimary[]) say(each);
        if (topic === FAKE_TOPIC.die) dieOf(new Error('told to die'));
        else if (topic === FAKE_TOPIC.reject) reject(new Error('told to reject'));
        else if (topic === FAKE_TOPIC.end) finish();
        else if (topic === FAKE_TOPIC.exit) process.exit(7);
        else say({ kind: 'published', id: message.id });
      } else if (message.kind === 'descriptor') {
        new Socket({ fd: message.fd }).destroy();
      }
    };
    port.on('message', (messages: readonly ToShard[]) => {
      for (const message of messages) onMessage(message);
    });
    say({ kind: 'ready' });
  });
}
