/** What a QoS 1 or 2 delivery costs in the window: enqueue, fill, acknowledge. */
import { encodePublish } from '../../src/protocol/publish-frame.js';
import type { Run } from '../../src/protocol/run.js';
import { IncomingQos2 } from '../../src/sessions/incoming-qos2.js';
import { OutgoingWindow } from '../../src/sessions/outgoing-window.js';
import { type MicroResult, type MicroSize, measure } from './micro.js';

/** A large round takes less than a scheduler's slice, so that some round runs undisturbed. */
const MESSAGES: Readonly<Record<MicroSize, number>> = { small: 2_000, large: 15_000 };
const PAYLOAD = Buffer.alloc(64, 0x78);
const TOPIC = 'bench/topic';
const TARGET_BYTES = 256 * 1024;
/** Ids unreleased at a time in the bench of incoming QoS 2. */
const UNRELEASED = 100;

/** A run of `count` messages of 64 bytes. */
function runOf(count: number, qos: 1 | 2): Run {
  const header = 0x30 | (qos << 1);
  const frames = Array.from({ length: count }, () => encodePublish(TOPIC, PAYLOAD, header, 1));
  return {
    bytes: Buffer.concat(frames),
    header,
    topicLength: TOPIC.length,
    count,
    propertyBytes: 0,
    expiresAt: 0,
  };
}

/**
 * Messages that go through a window in runs of one length, each window-full acknowledged at once.
 */
function outgoing(
  size: MicroSize,
  runLength: number,
  maxInflight: number,
  qos: 1 | 2,
): MicroResult {
  const messages = MESSAGES[size];
  const run = runOf(runLength, qos);
  const limits = { maxInflight, maxQueuedMessages: 2 * messages, maxQueuedBytes: 1e9 };
  const window = new OutgoingWindow(limits);
  const target = Buffer.alloc(TARGET_BYTES);
  // As many runs are put in at a time as fill the window, at least one.
  const runsAtOnce = Math.max(1, Math.floor(maxInflight / runLength));
  let nextId = 1;
  const acknowledge = (): number => {
    let acknowledged = 0;
    const first = nextId;
    const count = window.inflight;
    for (let left = count; left > 0; left--) {
      const isKnown = qos === 1 ? window.onPuback(nextId) : window.onPubrec(nextId);
      acknowledged += isKnown ? 1 : 0;
      nextId = nextId === 65_535 ? 1 : nextId + 1;
    }
    for (let left = count, id = first; qos === 2 && left > 0; left--) {
      acknowledged += window.onPubcomp(id) ? 0 : -1;
      id = id === 65_535 ? 1 : id + 1;
    }
    return acknowledged;
  };
  const name = `QoS ${qos} through a window of ${maxInflight} in runs of ${runLength}`;
  return measure(name, size, messages, () => {
    let acknowledged = 0;
    for (let put = 0; put < messages; ) {
      for (let runs = 0; runs < runsAtOnce && put < messages; runs++) {
        window.enqueue(run, qos, false, true);
        put += runLength;
      }
      while (window.sendable) {
        window.fill(target, 0, TARGET_BYTES, put);
        acknowledged += acknowledge();
      }
    }
    return acknowledged;
  });
}

/** QoS 2 publications and their PUBRELs, a hundred of each in turn, ids counting up. */
function incoming(size: MicroSize): MicroResult {
  const messages = MESSAGES[size];
  return measure('incoming QoS 2: add, release', size, messages, () => {
    const ids = new IncomingQos2();
    let released = 0;
    for (let first = 0; first < messages; first += UNRELEASED) {
      for (let n = first; n < first + UNRELEASED; n++) ids.add((n % 65_535) + 1);
      for (let n = first; n < first + UNRELEASED; n++) {
        if (ids.release((n % 65_535) + 1)) released++;
      }
    }
    return released;
  });
}

/**
 * Every shape: quiet and busy publishers, MQTT.js's and Mosquitto's usual window, and our own
 * default.
 */
export function run(size: MicroSize): MicroResult[] {
  return [
    outgoing(size, 1, 20, 1),
    outgoing(size, 1, 1_024, 1),
    outgoing(size, 100, 20, 1),
    outgoing(size, 100, 1_024, 1),
    outgoing(size, 1, 1_024, 2),
    outgoing(size, 100, 1_024, 2),
    incoming(size),
  ];
}
