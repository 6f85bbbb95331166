/**
 * Starts Debian's Mosquitto on a free port: a peer to hold tests against, and a broker for the
 * client.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../bench/support/free-port.js';
import { type Endpoint, RawClient } from './raw-client.js';
import { DEADLINE_MS } from './waiting.js';

export interface Mosquitto extends Endpoint {
  close(): Promise<void>;
}

/** Waits until something listens there. @throws Error at the deadline or when `isGone`. */
async function untilListening(at: Endpoint, isGone: () => string | null): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const gone = isGone();
    if (gone !== null) throw new Error(gone);
    try {
      await (await RawClient.open(at)).end();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await delay(10);
  }
}

/**
 * @param more lines of its configuration.
 * @throws Error when the program is not installed or does not start.
 */
export async function startMosquitto(
  maxInflight = 20,
  more: readonly string[] = [],
): Promise<Mosquitto> {
  const folder = await mkdtemp(join(tmpdir(), 'surgemq-mosquitto-'));
  const at = { host: '127.0.0.1', port: await freePort() };
  const file = join(folder, 'mosquitto.conf');
  const settings = [
    `listener ${at.port} ${at.host}`,
    'allow_anonymous true',
    `max_inflight_messages ${maxInflight}`,
    'max_queued_messages 100000',
    'max_packet_size 1048576',
    ...more,
  ];
  await writeFile(file, `${settings.join('\n')}\n`);
  // Debian puts it where only root's PATH leads.
  const child = spawn('/usr/sbin/mosquitto', ['-c', file], { stdio: 'ignore' });
  let gone: string | null = null;
  child.on('error', (error) => {
    gone = `Debian's mosquitto is needed for this test: ${error.message}`;
  });
  const exited = once(child, 'exit').then(
    () => {
      gone ??= 'mosquitto has ended';
    },
    () => {},
  );
  await untilListening(at, () => gone);
  return {
    ...at,
    async close() {
      child.kill();
      await exited;
      await rm(folder, { recursive: true });
    },
  };
}
