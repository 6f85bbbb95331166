/** Mutations of src/protocol/v5: see mutation.ts. */
import type { Mutation } from './mutation.js';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'scan 5.0: a run of QoS 0 without properties joins frames that have some',
    test: 'unit/protocol/v5/frame-scan.test.ts',
    red: 'finds each packet, in the longest runs of like header, topic and properties',
    edits: [
      {
        file: 'src/protocol/v5/frame-scan.ts',
        text: `        payloadStart,
        lengthMin,`,
        by: `        topicEnd,
        lengthMin,`,
      },
    ],
  },
  {
    name: 'scan 5.0: a run with packet ids and without properties joins frames that have some',
    test: 'unit/protocol/v5/frame-scan.test.ts',
    red: 'finds each packet, in the longest runs of like header, topic and properties',
    edits: [
      {
        file: 'src/protocol/v5/frame-scan.ts',
        text: 'if (packetId === 0 || (isPlain && (word & 0xff) !== 0)) break;',
        by: 'if (packetId === 0) break;',
      },
    ],
  },
  {
    name: 'scan 5.0: a run joins frames of other properties',
    test: 'unit/protocol/v5/frame-scan.test.ts',
    red: 'finds each packet, in the longest runs of like header, topic and properties',
    edits: [
      {
        file: 'src/protocol/v5/frame-scan.ts',
        text: 'if (!isPlain && !bytesEqual(view, propertyField, payloadStart, distance)) break;',
        by: 'if (!isPlain && !bytesEqual(view, propertyField, propertyField + 1, distance)) break;',
      },
    ],
  },
  {
    name: 'scan 5.0: properties that are 0 and -0 as doubles count as the same',
    test: 'unit/protocol/v5/frame-scan.test.ts',
    red: 'tells properties apart that differ in one bit of any byte',
    edits: [
      {
        file: 'src/protocol/v5/frame-scan.ts',
        text: 'if (one === other && one !== 0) continue;',
        by: 'if (one === other) continue;',
      },
    ],
  },
  {
    name: 'scan 5.0: any reason code is taken',
    test: 'unit/protocol/v5/frame-scan.test.ts',
    red: 'refuses what may not be, and hands over all that precedes it',
    edits: [
      {
        file: 'src/protocol/v5/frame-scan.ts',
        text: 'if (!isReasonCodeAllowed(code, type, sender)) break;',
        by: '',
      },
    ],
  },
  {
    name: 'properties 5.0: one may stand twice',
    test: 'unit/protocol/v5/property-check.test.ts',
    red: 'refuses each property that stands twice, where it may not',
    edits: [
      {
        file: 'src/protocol/v5/property-check.ts',
        text: 'return faultOf(Fault.duplicate, id);',
        by: 'seen &= ~bit;',
      },
    ],
  },
  {
    name: 'properties 5.0: any packet may carry any',
    test: 'unit/protocol/v5/property-check.test.ts',
    red: 'allows each property in the packets of its row, and in no other',
    edits: [
      {
        file: 'src/protocol/v5/property-check.ts',
        text: 'if (((HOLDERS[index] >>> holder) & 1) === 0) return faultOf(Fault.notAllowed, id);',
        by: '',
      },
    ],
  },
  {
    name: 'properties 5.0: a surrogate is taken',
    test: 'unit/protocol/v5/utf8.test.ts',
    red: 'refuses surrogates, overlong forms, what is cut short and what lies past U+10FFFF',
    edits: [
      {
        file: 'src/protocol/v5/utf8.ts',
        text: 'else if (first === 0xed) high = 0x9f;',
        by: '',
      },
    ],
  },
  {
    name: 'view 5.0: the expiry stays in the canonical properties',
    test: 'unit/protocol/v5/publish-form.test.ts',
    red: 'leaves all but alias and expiry as it came, in its order, wherever the two stand',
    edits: [
      {
        file: 'src/protocol/v5/publish-view.ts',
        text: 'this.canonicalLength -= MESSAGE_EXPIRY_BYTES;',
        by: '',
      },
    ],
  },
  {
    name: 'form 5.0: a message over the maximum packet size is laid out',
    test: 'unit/protocol/v5/publish-form.test.ts',
    red: 'lays out a run of any version for any version, leaving out what is too long',
    edits: [
      {
        file: 'src/protocol/v5/publish-form.ts',
        text: 'if (wholeLength(length) > this.maximumPacketSize) continue;',
        by: '',
      },
    ],
  },
  {
    name: 'form 5.0: a run that grows runs over what is still to be moved',
    test: 'unit/protocol/v5/publish-form.test.ts',
    red: 'lays out a run of any version for any version, leaving out what is too long',
    edits: [
      {
        file: 'src/protocol/v5/replace-in-run.ts',
        text: 'const copyAt = at + Math.max(0, replacedBytes - (end - start));',
        by: 'const copyAt = at;',
      },
    ],
  },
  {
    name: 'subscribe 5.0: No Local is taken for a shared subscription',
    test: 'unit/protocol/v5/packet-vectors.test.ts',
    red: 'is refused for what it may not be',
    edits: [
      {
        file: 'src/protocol/v5/subscription-options.ts',
        text: 'SubscriptionOption.noLocal) !== 0 && isShared',
        by: 'SubscriptionOption.noLocal) !== 0 && options < 0',
      },
    ],
  },
];
