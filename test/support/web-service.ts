/** A web service that a test answers for. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface WebService extends AsyncDisposable {
  readonly url: string;
}

/** Answers one request. */
export type Respond = (status: number, body: string, headers?: Record<string, string>) => void;

/** @param handle is given the body of each request; it may answer, or never. */
export async function serveWeb(
  handle: (body: string, respond: Respond) => void,
): Promise<WebService> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += String(part)));
    request.on('end', () =>
      handle(body, (status, text, headers = {}) => response.writeHead(status, headers).end(text)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/keys`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
