/** Who may connect by the certificate that it has shown, where its listener takes names from it. */
import type { Credentials, Verdict } from '../base/credentials.js';
import { admissionOf } from './admission.js';
import type { FindListener } from './anonymous.js';
import type { Authenticator } from './authenticator.js';

export class CertificateAuthenticator implements Authenticator {
  readonly #findListener: FindListener;

  constructor(findListener: FindListener) {
    this.#findListener = findListener;
  }

  /**
   * The name in its certificate, whatever user name and password it has: that it is valid has been
   * checked in the handshake. A certificate without such a name is nobody's.
   */
  authenticate({ certificate = null, listener = '' }: Credentials): Verdict {
    const from = this.#findListener(listener)?.tls?.usernameFrom ?? null;
    if (certificate === null || from === null) return null;
    const { commonName, alternativeNames } = certificate;
    const name = from === 'cn' ? commonName : alternativeNames[0];
    return name === null || name === undefined || name === '' ? false : admissionOf(name);
  }
}
