/** What is said over a control socket. */
import type { Config } from '../base/config.js';
import type { ReloadResult } from '../primary/reload.js';

export interface ControlRequest {
  readonly ask: 'reload' | 'config';
}

export type ControlAnswer =
  | { readonly reloaded: ReloadResult }
  | { readonly config: Config }
  /** It is not done: why, a line each. */
  | { readonly faults: readonly string[] };
