/** Names in a client's certificate, which was found valid. */
import type { X509Certificate } from 'node:crypto';
import type { CertificateNames } from '../base/credentials.js';

/** What stands before a name in node's text of the subject alternative names. */
const KINDS = ['DNS', 'email', 'URI', 'IP Address'];
/** The same before names of other kinds, which are passed over. */
const OTHER_KINDS = ['DirName', 'Registered ID', 'othername'];
const CONTROLS = /\p{Cc}/u;

/** The names of a certificate. One that holds controls is none: it would be taken for another. */
export function namesOf(certificate: X509Certificate): CertificateNames {
  const subject = certificate.toLegacyObject().subject as { CN?: string | string[] } | undefined;
  const given = subject?.CN;
  const name = Array.isArray(given) ? given[0] : given;
  const isSound = name !== undefined && name !== '' && !CONTROLS.test(name);
  return {
    commonName: isSound ? name : null,
    alternativeNames: alternativeNames(certificate.subjectAltName ?? ''),
  };
}

/**
 * Takes `DNS:a, URI:"b, c"` apart: node quotes as JSON what could be taken for more than one name.
 */
function alternativeNames(text: string): string[] {
  const names: string[] = [];
  let at = 0;
  while (at < text.length) {
    const isHere = (each: string): boolean => text.startsWith(`${each}:`, at);
    const kind = [...KINDS, ...OTHER_KINDS].find(isHere);
    if (kind === undefined) return names;
    const start = at + kind.length + 1;
    const end = text[start] === '"' ? quotedEnd(text, start) : plainEnd(text, start);
    const raw = text.slice(start, end);
    const name = raw.startsWith('"') ? unquoted(raw) : raw;
    if (KINDS.includes(kind) && name !== '' && !CONTROLS.test(name)) names.push(name);
    at = end + ', '.length;
  }
  return names;
}

function plainEnd(text: string, start: number): number {
  const end = text.indexOf(', ', start);
  return end === -1 ? text.length : end;
}

/** Behind the quote that ends what begins with one. */
function quotedEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return '';
  }
}
