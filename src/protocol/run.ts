/** What is routed: consecutive PUBLISH frames that can be handled as one. */

/**
 * Consecutive whole PUBLISH frames with the same header byte (DUP apart) and the same topic bytes.
 * Its bytes are never changed once it exists; who needs other packet ids makes a copy.
 */
export interface Run {
  /** The frames, one after the other, each with its packet id when QoS > 0. */
  readonly bytes: Buffer;
  /** Fixed-header byte without DUP: 0x30 | qos << 1 | retain. */
  readonly header: number;
  /** Bytes of the Topic Name in each frame, 1 to 65,535. */
  readonly topicLength: number;
  /** Number of frames, 1 to 65,536. */
  readonly count: number;
  /**
   * Bytes of the properties in each frame, with their length before them; 0: these are frames of
   * 3.x. The properties are canonical, see v5/publish-view.ts.
   */
  readonly propertyBytes: number;
  /** When the message expires, in milliseconds of `sharedMs`; 0: never. */
  readonly expiresAt: number;
  /** Its topic as a string, once somebody has needed it. */
  topicKey?: string;
  /** Where its shard keeps it while queues hold it, see held-runs.ts: theirs to write. */
  place?: number;
  /** The reused memory that its bytes lie in, if they do; taken back when nobody holds it. */
  buffer?: Buffer | null;
  /** It is being delivered: nobody may hold it yet, or any more. */
  isInDelivery?: boolean;
}
