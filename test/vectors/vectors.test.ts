/**
 * Runs the byte vectors beside this file: bytes to send, packets to expect, or the close. Each
 * vector is run as it stands and once more with every send cut into single bytes. `mosquitto` in a
 * vector says where Mosquitto does otherwise; only `--mosquitto` (test/support/broker.ts) heeds it.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Broker, IS_MOSQUITTO, startBroker, unique } from '../support/broker.js';
import { hex } from '../support/packets.js';
import { connect5, parseSaid } from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';

type Step =
  /** Bytes to send, repeated `times` times. */
  | { readonly send: string; readonly times?: number }
  /** A client of MQTT 5.0 connects, with these properties in its CONNECT, and is accepted. */
  | { readonly connect5: string }
  /** Packets that must come next, byte for byte. */
  | { readonly expect: string }
  /** A CONNACK of 5.0 must come next, with this reason code; one that refuses, and the close. */
  | { readonly connack: string }
  /** A DISCONNECT of 5.0 must come next, with this reason code, and the close. */
  | { readonly disconnect: string }
  /** The broker must close, with nothing more sent. */
  | { readonly close: true };

interface Vector {
  readonly name: string;
  /** The statement that the vector holds the broker to, or the section where none is numbered. */
  readonly clause: string;
  readonly mosquitto?: string;
  readonly steps: readonly Step[];
}

/** Above this many bytes a send is cut into larger pieces: single bytes would take too long. */
const SINGLE_BYTES_MAX = 2_000;

/** The vectors stand in the source tree: the compiler does not copy them. */
const FOLDER = new URL('../../../test/vectors/', import.meta.url);

const CONNACK = 2;
const DISCONNECT = 14;
const FIRST_ERROR = 0x80;

/** The next packet has this type and this reason code, whatever else it says. */
async function expectReason(client: RawClient, type: number, code: number): Promise<void> {
  const said = parseSaid(await client.readPacket());
  const toHex = (number: number) => number.toString(16).padStart(2, '0');
  assert.deepEqual([said.type, toHex(said.code)], [type, toHex(code)]);
}

async function run(broker: Broker, vector: Vector, isCut: boolean): Promise<void> {
  const client = await broker.raw();
  for (const step of vector.steps) {
    if ('send' in step) {
      const once = hex(step.send);
      const bytes = Buffer.alloc(once.length * (step.times ?? 1), once);
      const pieceBytes = bytes.length > SINGLE_BYTES_MAX ? 1_000 : 1;
      if (isCut) await client.sendInPieces(bytes, pieceBytes);
      else client.send(bytes);
    } else if ('connect5' in step) {
      client.send(connect5({ clientId: unique('vector'), properties: step.connect5 }));
      await expectReason(client, CONNACK, 0);
    } else if ('connack' in step) {
      const code = Number.parseInt(step.connack, 16);
      await expectReason(client, CONNACK, code);
      if (code >= FIRST_ERROR) await client.expectClose();
    } else if ('disconnect' in step) {
      await expectReason(client, DISCONNECT, Number.parseInt(step.disconnect, 16));
      await client.expectClose();
    } else if ('expect' in step) await client.expect(step.expect);
    else await client.expectClose();
  }
  await client.cut();
}

const files = readdirSync(FOLDER).filter((file) => file.endsWith('.json'));
for (const isCut of [false, true]) {
  describe(isCut ? 'vectors, one byte at a time' : 'vectors', () => {
    let broker: Broker;
    before(async () => {
      broker = await startBroker({ workers: 1 });
    });
    after(() => broker.close());
    for (const file of files) {
      const vectors: readonly Vector[] = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8'));
      describe(file.replace('.json', ''), () => {
        for (const vector of vectors) {
          if (IS_MOSQUITTO && vector.mosquitto !== undefined) continue;
          test(vector.name, () => run(broker, vector, isCut));
        }
      });
    }
  });
}
