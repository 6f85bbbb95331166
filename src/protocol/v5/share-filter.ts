/** Shared Subscriptions: filters of the form `$share/{ShareName}/{filter}` [MQTT 5.0, 4.8.2]. */

/** What such a filter begins with. */
export const SHARE_PREFIX = '$share/';

/** A share filter in its parts. */
export interface ShareFilter {
  /** The group: at least one character, none of `/`, `+` and `#`. */
  readonly shareName: string;
  /** What the group subscribes to; whether it is a valid Topic Filter is not looked at. */
  readonly filter: string;
}

/** Whether a filter (or the key of one) means a Shared Subscription, well-formed or not. */
export function isShareFilter(filter: string): boolean {
  return filter.startsWith(SHARE_PREFIX);
}

/**
 * The parts of a filter for which `isShareFilter` is true; of a key, keys.
 * @returns null when it has no ShareName, one with a wildcard [MQTT-4.8.2-1], or no filter behind
 *   it [MQTT-4.8.2-2]. The subscription is refused with reason code 0x8F then.
 */
export function parseShareFilter(filter: string): ShareFilter | null {
  const nameEnd = filter.indexOf('/', SHARE_PREFIX.length);
  if (!isShareFilter(filter) || nameEnd < 0) return null;
  const shareName = filter.slice(SHARE_PREFIX.length, nameEnd);
  const shared = filter.slice(nameEnd + 1);
  if (shareName === '' || /[+#]/.test(shareName) || shared === '') return null;
  return { shareName, filter: shared };
}

/** The filter of a group, as a client subscribes to it. */
export function toShareFilter({ shareName, filter }: ShareFilter): string {
  return `${SHARE_PREFIX}${shareName}/${filter}`;
}
