/** Mutations of src/protocol: see mutation.ts. */
import type { Mutation } from './mutation.js';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'scan: a run of QoS 0 joins frames of another topic',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'finds the packets that mqtt-packet finds, in the longest runs',
    edits: [
      {
        file: 'src/protocol/alike-frames.ts',
        text: 'if (!topicFieldsEqual(view, bodyStart, fieldsEnd, at - bodyStart)) break;',
        by: 'if (!topicFieldsEqual(view, bodyStart, bodyStart + 2, at - bodyStart)) break;',
      },
    ],
  },
  {
    name: 'scan: a run of QoS 0 joins frames of another header',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'finds the packets that mqtt-packet finds, in the longest runs',
    edits: [
      {
        file: 'src/protocol/alike-frames.ts',
        text: '&& view.getUint8(position) === header)',
        by: '&& view.getUint8(position) >> 4 === header >> 4)',
      },
    ],
  },
  {
    name: 'scan: a run joins frames of another topic',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'finds the packets that mqtt-packet finds, in the longest runs',
    edits: [
      {
        file: 'src/protocol/frame-scan.ts',
        text: 'if (!topicFieldsEqual(view, bodyStart, topicEnd, distance)) break;',
        by: 'if (!topicFieldsEqual(view, bodyStart, bodyStart + 2, distance)) break;',
      },
    ],
  },
  {
    name: 'scan: a run joins frames of another QoS',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'finds the packets that mqtt-packet finds, in the longest runs',
    edits: [
      {
        file: 'src/protocol/frame-scan.ts',
        text: 'if (next !== header && next !== (header | DUP)) break;',
        by: 'if ((next & 0xf0) !== (header & 0xf0)) break;',
      },
    ],
  },
  {
    name: 'scan: packet id 0 is taken inside of a run',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'PUBLISH with packet id 0 [MQTT-2.3.1-1]',
    edits: [
      {
        file: 'src/protocol/frame-scan.ts',
        text: `if (packetId === 0) break;
      packetIds[count] = packetId;`,
        by: 'packetIds[count] = packetId;',
      },
    ],
  },
  {
    name: 'scan: the second frame of a run may be too large',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'a frame over the limit behind others of the same topic',
    edits: [
      {
        file: 'src/protocol/frame-scan.ts',
        text: '|| length > lengthMax) break;',
        by: ') break;',
      },
      {
        file: 'src/protocol/alike-frames.ts',
        text: '|| length > lengthMax) break;',
        by: ') break;',
      },
    ],
  },
  {
    name: 'scan: a fifth byte of length is read',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'hands over all that precedes a forbidden frame, in every split',
    edits: [
      {
        file: 'src/protocol/frame-scan.ts',
        text: 'if (shift > 21) throw lengthTooLong();',
        by: 'if (shift > 28) throw lengthTooLong();',
      },
    ],
  },
  {
    name: 'scan: every ack of a row is the first one',
    test: 'unit/protocol/frame-scan.test.ts',
    red: 'finds each ack of a row with its packet id, in every split',
    edits: [
      {
        file: 'src/protocol/frame-scan.ts',
        text: 'packetIds[count++] = packetId;',
        by: 'packetIds[count++] = packetIds[0];',
      },
    ],
  },
  {
    name: 'records: the topic of a run may lie outside of its first frame',
    test: 'unit/protocol/run-check.test.ts',
    red: 'refuses a run that is not what its record says',
    edits: [
      {
        file: 'src/protocol/run-check.ts',
        text: 'topicStart + overhead > firstEnd',
        by: 'topicStart > end',
      },
    ],
  },
  {
    name: 'records: a run may have more frames than its bytes hold',
    test: 'unit/protocol/run-check.test.ts',
    red: 'refuses a run that is not what its record says',
    edits: [
      {
        file: 'src/protocol/run-check.ts',
        text: '(FRAME_BYTES_MIN + overhead) * count > end - start',
        by: 'count > end - start',
      },
    ],
  },
  {
    name: 'records: a run of a session that moves may end in the midst of a frame',
    test: 'unit/shard/arrivals.test.ts',
    red: 'the session comes all the same',
    edits: [
      {
        file: 'src/protocol/run-check.ts',
        text: 'if (left === 0 && position === end) return;',
        by: 'if (left === 0) return;',
      },
    ],
  },
];
