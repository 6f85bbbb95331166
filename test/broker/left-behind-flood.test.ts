/**
 * Clients that flood and leave at once, in order: all that they have sent is handled first,
 * whatever it comes through, though it is more than their share of a turn.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import {
  listenByScheme,
  openByScheme,
  SCHEMES,
  type Scheme,
  schemeOptions,
} from '../support/by-scheme.js';
import { connect, DISCONNECT, publish } from '../support/packets.js';
import { numbers } from '../support/suite.js';
import { TlsFiles } from '../support/tls-broker.js';
import { within } from '../support/waiting.js';

/** As many as end in the middle of what is read at a time, wherever that is. */
const COUNTS = [400, 1_000, 1_600, 2_300, 3_100, 4_000, 6_000, 9_000];

describe('a client that floods and leaves', () => {
  const files = new TlsFiles();
  let ports: ReadonlyMap<Scheme, number>;
  let broker: Broker;

  before(async () => {
    broker = await startBroker({ workers: 1, ...schemeOptions(files) });
    ports = await listenByScheme(broker);
  });
  afterEach(() => broker.idle());
  after(async () => {
    await broker.close();
    files[Symbol.dispose]();
  });

  /** Connects as the scheme says, sends it all in one go, and closes its side. */
  async function sendAndLeave(scheme: Scheme, isProxied: boolean, packets: Buffer): Promise<void> {
    const { stream, framed } = await openByScheme(scheme, ports.get(scheme)!, isProxied, files);
    stream.resume();
    stream.end(framed(packets));
    await within(once(stream, 'close'), 'the end of the connection');
  }

  for (const scheme of SCHEMES) {
    for (const isProxied of [false, true]) {
      const how = `${scheme}${isProxied ? ' behind a proxy' : ''}`;
      // [MQTT-3.14.4-3]: its will is discarded, as DISCONNECT lies behind the flood.
      test(`has all of it handled over ${how}`, async () => {
        for (const count of COUNTS) {
          const topic = unique('flood');
          const watcher = await broker.client();
          await watcher.subscribe([`${topic}/#`, 0]);
          const will = { topic: `${topic}/will`, payload: 'will' };
          // A topic of its own each time: a message then takes some microseconds.
          const flood = numbers(1, count).map((payload) =>
            publish({ topic: `${topic}/${payload}`, payload }),
          );
          await sendAndLeave(
            scheme,
            isProxied,
            Buffer.concat([connect({ clientId: topic, will }), ...flood, DISCONNECT]),
          );
          const got = await watcher.nextMessages(count);
          await watcher.ping();
          assert.deepEqual(
            got.map(({ payload }) => payload),
            numbers(1, count),
          );
          await watcher.disconnect();
        }
      });
    }
  }
});
