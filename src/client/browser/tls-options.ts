/** The option `tls` in a browser, which does all of TLS by itself. */
import type { ListenerKind } from '../../base/listener-config.js';
import type { OptionReader } from '../option-reader.js';

/** Nothing: no browser takes a certificate from a page. */
export type Pem = never;
/** Nothing: `wss:` has the browser check the certificate. */
export type TlsOptions = never;
/** Nothing: there is no TLS that the client knows of. */
export type TlsSettings = never;

/** Notes what a browser cannot do. @returns null: TLS is not the client's affair. */
export function readTls(
  reader: OptionReader,
  kind: ListenerKind | undefined,
  given: TlsOptions | undefined,
): null {
  reader.expect(
    kind === undefined || kind === 'ws' || kind === 'wss',
    'a browser connects by ws:// or wss:// alone',
  );
  reader.expect(given === undefined, 'option tls is not for browsers, which do TLS by themselves');
  return null;
}
