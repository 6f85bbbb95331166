/**
 * Runs the byte vectors beside this file: bytes to send, packets to expect, or the close. Each
 * vector is run as it stands and once more with every send cut into single bytes. `mosquitto` in a
 * vector says where Mosquitto does otherwise; only `--mosquitto` (test/support/broker.ts) heeds it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Broker, IS_MOSQUITTO, startBroker } from '../support/broker.js';
import { hex } from '../support/packets.js';

type Step =
  /** Bytes to send, repeated `times` times. */
  | { readonly send: string; readonly times?: number }
  /** Packets that must come next, byte for byte. */
  | { readonly expect: string }
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

async function run(broker: Broker, vector: Vector, isCut: boolean): Promise<void> {
  const client = await broker.raw();
  for (const step of vector.steps) {
    if ('send' in step) {
      const once = hex(step.send);
      const bytes = Buffer.alloc(once.length * (step.times ?? 1), once);
      const pieceBytes = bytes.length > SINGLE_BYTES_MAX ? 1_000 : 1;
      if (isCut) await client.sendInPieces(bytes, pieceBytes);
      else client.send(bytes);
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
