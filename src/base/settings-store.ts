/** Settings of the durable store; part of the table in settings-table.ts. */
import type { Config } from './config.js';
import { DURABILITIES, type Durability } from './durability.js';
import { PATH_BYTES_MAX, STORE_SETTINGS } from './limits.js';
import { providerName } from './provider-name.js';
import type { ServerSetting } from './settings-table.js';
import { STORE_FULL_POLICIES, type StoreFullPolicy } from './store-full-policy.js';
import type { ValueType } from './value-type.js';
import * as type from './value-type.js';

/** The sessions provider that keeps them on disk. */
export const DURABLE_SESSIONS = 'lmdb';

/** Their names in the configuration. */
export type StoreSetting = 'sessions' | 'dataDir' | 'durability' | 'storeBytes' | 'storeFull';

/** By their names in the configuration. */
export const SETTINGS_OF_STORE: { readonly [K in StoreSetting]: ServerSetting<Config[K]> } = {
  sessions: {
    environment: 'SURGEMQ_SESSIONS',
    flag: 'sessions',
    option: 'sessionsProvider',
    type: providerName([DURABLE_SESSIONS, 'mem']),
    default: DURABLE_SESSIONS,
    restart: true,
    summary:
      'Where sessions and retained messages are kept: `lmdb` on disk, `mem` in memory alone.',
  },
  dataDir: {
    environment: 'SURGEMQ_DATA_DIR',
    flag: 'data-dir',
    option: 'dataDir',
    type: type.text(PATH_BYTES_MAX),
    default: './surgemq-data',
    restart: true,
    summary: 'The folder of what is on disk: one broker at a time.',
  },
  durability: {
    environment: 'SURGEMQ_DURABILITY',
    flag: 'durability',
    option: 'durability',
    type: type.oneOf(DURABILITIES) as ValueType<Durability>,
    default: 'fsync',
    restart: true,
    summary:
      'What an acknowledgement waits for: `fsync`, the disk has it; `commit`, it survives the ' +
      'end of the process, but no power cut; `none`, nothing.',
  },
  storeBytes: {
    environment: 'SURGEMQ_STORE_BYTES',
    flag: 'store-bytes',
    option: 'storeBytes',
    type: type.bytes(STORE_SETTINGS.storeBytes),
    default: String(STORE_SETTINGS.storeBytes.default),
    restart: true,
    summary: 'Bytes that may be in use on disk; 0 is as many as there are.',
  },
  storeFull: {
    environment: 'SURGEMQ_STORE_FULL',
    flag: 'store-full',
    option: 'storeFull',
    type: type.oneOf(STORE_FULL_POLICIES) as ValueType<StoreFullPolicy>,
    default: 'reject',
    summary:
      'What happens to a message for an absent client when they are: `drop-oldest` and ' +
      '`drop-newest` of its queue, or `reject` the publication.',
  },
};
