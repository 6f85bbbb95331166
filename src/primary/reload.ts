/** What becomes of a configuration that was read again while the broker runs. */
import { isDeepStrictEqual } from 'node:util';
import type { Config, SettingValues } from '../base/config.js';
import { deepFreeze } from '../base/settings.js';
import { CONFIG_SETTINGS } from '../base/settings-table.js';

/** What a reload has done. */
export interface ReloadResult {
  /** Options whose values are others now, such as `maxInflight`, in the order of the table. */
  readonly changed: readonly string[];
  /** Options that were changed and keep their old values until the broker starts again. */
  readonly needRestart: readonly string[];
  /** What is worth a warning about the configuration, a line each. */
  readonly warnings: readonly string[];
}

/** A configuration to go by, and what is new about it. */
export interface MergedConfig {
  readonly config: Config;
  readonly changed: readonly string[];
  readonly needRestart: readonly string[];
}

/** `next` with the values of `current` where a change needs a restart. */
export function mergeReloaded(current: Config, next: Config): MergedConfig {
  const merged: Record<string, unknown> = { ...next };
  const changed: string[] = [];
  const needRestart: string[] = [];
  for (const key of Object.keys(next) as (keyof Config)[]) {
    // Listeners say all that `listen` does, and more.
    if (key === 'listen' || isDeepStrictEqual(current[key], next[key])) continue;
    const setting = Object.hasOwn(CONFIG_SETTINGS, key)
      ? CONFIG_SETTINGS[key as keyof SettingValues]
      : undefined;
    const name = setting?.option ?? key;
    if (setting?.restart === true) {
      merged[key] = current[key];
      needRestart.push(name);
    } else {
      changed.push(name);
    }
  }
  return { config: deepFreeze(merged) as unknown as Config, changed, needRestart };
}
