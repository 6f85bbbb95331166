/** What may go wrong with TLS: by error codes of Node and OpenSSL, in words of what to do. */

/** The server's certificate leads to no root that is trusted. */
const UNTRUSTED: readonly string[] = [
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_UNTRUSTED',
  'INVALID_CA',
];
/** What else is wrong with the server's certificate. */
const CERTIFICATE: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "the server's certificate has expired: it needs a new one",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet: is the clock here right?",
  CERT_REVOKED: "the server's certificate has been revoked: it needs a new one",
};
/** Alerts of the server about the certificate of this client. */
const OURS =
  /ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|UNSUPPORTED_CERT)/;
/** Other ends of a handshake, by what their codes hold. */
const HANDSHAKE: readonly (readonly [RegExp, string])[] = [
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/,
    'the server does not speak TLS there: use its port for TLS, or a URI without TLS',
  ],
  [
    /ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/,
    'no version of TLS in common: see tls.minVersion (--tls-version)',
  ],
  [/NO_APPLICATION_PROTOCOL/, 'the server speaks none of the protocols of tls.alpn (--tls-alpn)'],
  [
    /UNRECOGNIZED_NAME/,
    'the server does not know the host name: see tls.servername (--servername)',
  ],
  [
    /ALERT_HANDSHAKE_FAILURE|NO_SHARED_CIPHER/,
    'the server ended the handshake: no cipher suite in common, or it wants a certificate ' +
      '(tls.cert and tls.key; --cert, --key)',
  ],
];
/** What Node says where the server has closed before the handshake was over. */
const CLOSED = /disconnected before secure TLS connection/;

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : '';
}

/** Whether something is wrong with the server's certificate: another attempt will not do. */
export function isCertificateFault(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = codeOf(error);
  return (
    code === 'ERR_TLS_CERT_ALTNAME_INVALID' ||
    UNTRUSTED.includes(code) ||
    Object.hasOwn(CERTIFICATE, code)
  );
}

/** The names in the certificate of a server that is none of them. */
function namesOf(error: Error): string {
  const { host, cert } = error as {
    host?: string;
    cert?: { subjectaltname?: string; subject?: { CN?: string } };
  };
  const names = cert?.subjectaltname ?? cert?.subject?.CN ?? 'no name';
  return `${names}, and not for ${host ?? 'this host'}`;
}

/** The words for an error of TLS; undefined if it is none. */
export function tlsReason(error: Error): string | undefined {
  const code = codeOf(error);
  const { message } = error;
  if (UNTRUSTED.includes(code)) {
    return (
      `the server's certificate leads to no root that is trusted here (${message}): ` +
      'give its root as tls.ca (--cafile)'
    );
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return (
      `the server's certificate is for ${namesOf(error)}: connect by one of its names, or say ` +
      'which by tls.servername (--servername)'
    );
  }
  if (Object.hasOwn(CERTIFICATE, code)) return CERTIFICATE[code];
  if (CLOSED.test(message)) {
    return 'the server closed during the TLS handshake: does it speak TLS on this port?';
  }
  if (!code.startsWith('ERR_SSL_')) return undefined;
  if (OURS.test(code)) {
    const alert = code
      .replace(/^.*ALERT_/, '')
      .toLowerCase()
      .replaceAll('_', ' ');
    return (
      `the server does not take this client's certificate, or the lack of one (${alert}): ` +
      'see tls.cert and tls.key (--cert, --key)'
    );
  }
  return HANDSHAKE.find(([pattern]) => pattern.test(code))?.[1];
}
