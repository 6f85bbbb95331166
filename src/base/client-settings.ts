/**
 * Settings that a listener or a user may have a value of its own of, in a configuration file: that
 * holds for the clients that came by the listener, or were let in as the user, and is written by
 * the same name and in the same way as the setting for all.
 */
import type { Config, SettingValues } from './setting-values.js';
import { CONFIG_SETTINGS } from './settings-table.js';

/**
 * Those of a user: what nobody needs to know before the client is let in. A user's own value stands
 * before that of the listener.
 */
export const USER_SETTINGS = [
  'maxPacketBytes',
  'maxPayloadBytes',
  'maxTopicBytes',
  'maxTopicLevels',
  'maxFiltersPerSubscribe',
  'maxSubscriptions',
  'maxWildcardSubscriptions',
  'maxMessageRate',
  'maxByteRate',
  'maxInflight',
  'maxInflightBytes',
  'maxQueuedMessages',
  'maxQueuedBytes',
  'outboxBytes',
  'slowConsumerPolicy',
  'slowConsumerTimeoutMs',
  'receiveMaximum',
  'topicAliasMaximum',
  'maxQos',
  'retainAvailable',
] as const satisfies readonly (keyof SettingValues)[];

/** Those of a listener: besides, what a CONNECT is answered by before its user is known. */
export const LISTENER_SETTINGS = [
  ...USER_SETTINGS,
  'keepAliveSeconds',
  'maxKeepAliveSeconds',
  'sessionExpiryMs',
  'maxSessionExpiryMs',
] as const satisfies readonly (keyof SettingValues)[];

type UserSetting = (typeof USER_SETTINGS)[number];
type ListenerSetting = (typeof LISTENER_SETTINGS)[number];

/** A user's own values; what is not there is as its listener has it, or as all have it. */
export type UserOwnSettings = Partial<Pick<SettingValues, UserSetting>>;

/** A listener's own values; what is not there is as all have it. */
export type ListenerOwnSettings = Partial<Pick<SettingValues, ListenerSetting>>;

/** Whether there is any. */
export function areAny(own: ListenerOwnSettings): boolean {
  return Object.keys(own).length > 0;
}

/**
 * Of an entry of a configuration file, whose names are those of the options, the values of its own.
 * @param names which settings it may have some of.
 */
export function ownSettingsOf(
  entry: object,
  names: readonly ListenerSetting[],
): ListenerOwnSettings {
  const own: Record<string, unknown> = {};
  for (const name of names) {
    const value: unknown = Reflect.get(entry, CONFIG_SETTINGS[name].option);
    if (value !== undefined) own[name] = value;
  }
  return own;
}

/** The largest packet that is taken from anybody, in bytes. */
export function largestPacketBytes({ maxPacketBytes, listeners, users }: Config): number {
  const own = [...listeners, ...users].map(({ ownSettings }) => ownSettings.maxPacketBytes ?? 0);
  return own.reduce((largest, bytes) => Math.max(largest, bytes), maxPacketBytes);
}

/** Whether the connections of users are bounded, of any of them. */
export function areUsersCounted({ maxConnectionsPerUser, users }: Config): boolean {
  return maxConnectionsPerUser > 0 || users.some(({ maxConnections }) => maxConnections !== null);
}
