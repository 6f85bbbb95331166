/** Asking a web service: in time, with an answer of bounded length, and nowhere else. */
import { WEB_ANSWER_BYTES_MAX } from '../base/limits.js';

/** A URL to ask, and what goes with it that a URL may not have there. */
export interface WebService {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A user name and password in a URL become a header, as `fetch` takes none there. */
export function webServiceOf(uri: string): WebService {
  const url = new URL(uri);
  const { username, password } = url;
  url.username = '';
  url.password = '';
  if (username === '' && password === '') return { url: url.href, headers: {} };
  const [user, secret] = [decodeURIComponent(username), decodeURIComponent(password)];
  const credentials = Buffer.from(`${user}:${secret}`).toString('base64');
  return { url: url.href, headers: { authorization: `Basic ${credentials}` } };
}

/**
 * The body of an answer with status 200. Redirects are not followed: what is asked may be secret.
 * @throws Error in one line, without anything of the question, for any other answer or none.
 */
export async function fetchText(
  service: WebService,
  init: { readonly method: string; readonly body?: string; readonly signal: AbortSignal },
): Promise<string> {
  const response = await request(service, init);
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the web service answers with status ${response.status}`);
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > WEB_ANSWER_BYTES_MAX) throw new Error('the web service answers too much');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

async function request(
  { url, headers }: WebService,
  init: { readonly method: string; readonly body?: string; readonly signal: AbortSignal },
): Promise<Response> {
  const type = init.body === undefined ? {} : { 'content-type': 'application/json' };
  try {
    return await fetch(url, {
      ...init,
      headers: { ...headers, ...type, accept: 'application/json' },
      redirect: 'manual',
    });
  } catch (error) {
    const isLate = error instanceof Error && error.name === 'TimeoutError';
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const why = cause instanceof Error ? cause.message.split('\n', 1)[0] : String(cause);
    throw new Error(isLate ? 'the web service does not answer in time' : `no web service: ${why}`);
  }
}
