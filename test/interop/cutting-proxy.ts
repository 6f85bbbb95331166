/**
 * A relay between a client and a broker whose connections a test can cut, as a bad network would.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { within } from '../support/waiting.js';

export class CuttingProxy {
  readonly uri: string;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();

  private constructor(server: Server, scheme: string, port: number) {
    this.#server = server;
    this.uri = `${scheme}://127.0.0.1:${port}`;
  }

  /** Relays to a port of the loopback interface. @param scheme of the broker's URI. */
  static async start(port: number, scheme = 'mqtt'): Promise<CuttingProxy> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('no port');
    const proxy = new CuttingProxy(server, scheme, address.port);
    server.on('connection', (client) => proxy.#relay(client, port));
    return proxy;
  }

  /** Resets both sides of every connection; what is under way is lost. */
  cut(): void {
    for (const [client, broker] of this.#pairs) {
      client.resetAndDestroy();
      broker.resetAndDestroy();
    }
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await within(closed, 'the proxy to close');
  }

  #relay(client: Socket, port: number): void {
    const broker = connect({ port, host: '127.0.0.1', noDelay: true });
    const pair = [client, broker] as const;
    this.#pairs.add(pair);
    for (const [socket, other] of [
      [client, broker],
      [broker, client],
    ]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        other.destroy();
        this.#pairs.delete(pair);
      });
    }
    client.pipe(broker);
    broker.pipe(client);
  }
}
