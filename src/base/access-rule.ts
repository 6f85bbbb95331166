/** Access rules as they are written, by operators and in tokens. */

/** What a rule speaks of. */
export type AccessAction = 'publish' | 'read' | 'subscribe';

/** One rule. */
export interface AccessRule {
  readonly effect: 'allow' | 'deny';
  readonly actions: readonly AccessAction[];
  /** A Topic Filter; `%u` and `%c` in it stand for user name and client id of whoever asks. */
  readonly filter: string;
}
