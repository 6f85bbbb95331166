/**
 * SASLprep [RFC 4013]: user names and passwords that look the same become the same. What it says of
 * text that runs both ways is left out: that only refuses, and changes nothing.
 */

/** Non-ASCII spaces, which become spaces [RFC 3454, C.1.2]. */
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g;
/** What is left out [RFC 3454, B.1]; U+200B is a space. */
const NOTHING = new RegExp(
  ['\\u00ad', '\\u034f', '\\u1806', '[\\u180b-\\u180d]', '\\u200c', '\\u200d', '\\u2060']
    .concat('[\\ufe00-\\ufe0f]', '\\ufeff')
    .join('|'),
  'gu',
);
/** What may not be there [RFC 3454, C.2 to C.9]. */
const PROHIBITED = new RegExp(
  '[\\u0000-\\u001f\\u007f-\\u009f\\u06dd\\u070f\\u180e\\u2028\\u2029\\u2061-\\u2063' +
    '\\u206a-\\u206f\\ufff9-\\ufffd\\u2ff0-\\u2ffb\\u0340\\u0341\\u200e\\u200f' +
    '\\u202a-\\u202e\\p{Co}\\p{Cs}\\p{Noncharacter_Code_Point}' +
    '\\u{1d173}-\\u{1d17a}\\u{e0001}\\u{e0020}-\\u{e007f}]',
  'u',
);

/** The text after SASLprep; null where that does not allow it, or nothing is left of it. */
export function saslPrepared(text: string): string | null {
  const prepared = text.replaceAll(SPACES, ' ').replaceAll(NOTHING, '').normalize('NFKC');
  return prepared === '' || PROHIBITED.test(prepared) ? null : prepared;
}
