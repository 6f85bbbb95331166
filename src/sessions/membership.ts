/** A session's place in the group of a Shared Subscription [MQTT 5.0, 4.8.2]. */

/** Where messages are on disk while somebody has them who keeps nothing there. */
export interface KeptRow {
  /** They are not wanted there any more. */
  leave(): void;
}

/** What a queue notes of messages that a session has as a member. */
export interface Membership {
  /** The group: `$share/{ShareName}/{filter}`, as a key. */
  readonly groupKey: string;
  /** The membership itself, where this is a note about some of its messages. */
  readonly of?: Membership;
  /** Where these messages are on disk, until they have left the queue. */
  readonly row?: KeptRow;
}

/** In its place: the message was given to another member, and is not to be sent any more. */
export const GIVEN_AWAY: Membership = { groupKey: '' };

/** Whether a note says so. */
export function isGivenAway(note: Membership | undefined): boolean {
  return note !== undefined && note.groupKey === '';
}
