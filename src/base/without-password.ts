/** Faults quote what was given; what they quote must not give a password away. */

/** Everything between `//` and the last `@` of a URI, which may be a user name and a password. */
const USER_INFO = /\/\/\S*@/g;

/** The text with `***` for whatever may be a password in a URI. */
export function withoutPassword(text: string): string {
  return text.replace(USER_INFO, '//***@');
}
