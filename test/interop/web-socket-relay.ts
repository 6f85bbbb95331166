/** A relay from WebSocket to the TCP port of a broker: frames by another implementation. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { createWebSocketStream, WebSocketServer } from 'ws';
import type { RunningBroker } from './client-suite.js';

/** Puts WebSocket before a broker, and ends with it. */
export async function byWebSocket(broker: RunningBroker): Promise<RunningBroker> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', path: '/mqtt' });
  await once(server, 'listening');
  server.on('connection', (webSocket) => {
    const client = createWebSocketStream(webSocket);
    const socket = connect({ port: broker.port, host: '127.0.0.1', noDelay: true });
    for (const [one, other] of [
      [client, socket],
      [socket, client],
    ]) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
      one.pipe(other);
    }
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  const close = async (): Promise<void> => {
    for (const webSocket of server.clients) webSocket.terminate();
    server.close();
    await broker.close();
  };
  return { port: address.port, scheme: 'ws', close };
}
