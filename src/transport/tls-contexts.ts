/**
 * What the TLS of each listener is made with: its certificates, roots and tickets. All connections
 * of a shard share them; a reload makes new ones, for the connections that come.
 */
import { constants, createHash, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { SERVER_NAMES_MAX, TLS_TICKET_SECONDS } from '../base/limits.js';
import type { TlsConfig } from '../base/listener-config.js';
import type { Materials } from '../base/materials.js';
import { splitPem } from './pem.js';

/** Of one listener. */
export class TlsContexts {
  /** For clients that name no server, or an unknown one. */
  readonly first: SecureContext;
  readonly #all: readonly { readonly names: X509Certificate; readonly context: SecureContext }[];
  readonly #byName = new Map<string, SecureContext>();

  /**
   * @param ticketKeys 48 bytes, those of all shards: a ticket of one is good at each.
   * @throws Error when the files are not what they should be; the primary has checked them.
   */
  constructor(tls: TlsConfig, materials: Materials, ticketKeys: Buffer) {
    this.#all = tls.certificates.map(({ certificate, key }) => {
      const cert = textOf(materials, certificate);
      const context = createSecureContext({
        ...sharedOptions(tls, materials),
        cert,
        key: textOf(materials, key),
        ticketKeys,
      });
      return { names: new X509Certificate(cert), context };
    });
    this.first = this.#all[0].context;
  }

  /** Whether clients of different names are shown different certificates. */
  get areSeveral(): boolean {
    return this.#all.length > 1;
  }

  /** The one with a certificate for `name`, as it came by SNI. */
  find(name: string): SecureContext {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const { context } =
      this.#all.find(({ names }) => names.checkHost(name) !== undefined) ?? this.#all[0];
    // Names come from clients: a flood of new ones must not fill the memory.
    if (this.#byName.size >= SERVER_NAMES_MAX) this.#byName.clear();
    this.#byName.set(name, context);
    return context;
  }
}

/** Options of all contexts of a listener. */
function sharedOptions(tls: TlsConfig, materials: Materials) {
  const { ca, crl, clientCertificate, minVersion } = tls;
  const isAsked = clientCertificate !== 'none';
  const roots = isAsked && ca !== null ? textOf(materials, ca) : undefined;
  const revoked = isAsked && crl !== null ? textOf(materials, crl) : undefined;
  return {
    minVersion,
    ...(roots === undefined ? {} : { ca: splitPem(roots) }),
    ...(revoked === undefined ? {} : { crl: splitPem(revoked) }),
    // A client that begins anew is refused: it could have the server sign without end.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    sessionTimeout: TLS_TICKET_SECONDS,
    // With a ticket no certificate is looked at: one is good only where the same are accepted.
    sessionIdContext: createHash('sha256')
      .update(JSON.stringify([clientCertificate, roots ?? '', revoked ?? '']))
      .digest('hex')
      .slice(0, 32),
  };
}

/** @throws Error */
function textOf(materials: Materials, path: string): string {
  const text = materials.get(path);
  if (text === undefined) throw new Error(`${path} was not read`);
  return text;
}
