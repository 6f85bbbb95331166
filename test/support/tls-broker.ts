/** A broker behind TLS, with certificates made for it, in files that a test may change. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { Authority, type Identity } from '../../bench/support/certificates.js';
import type { ServerOptions } from '../../src/index.js';
import type { ServerInternals } from '../../src/primary/server.js';
import { type Broker, startBroker } from './broker.js';

/** Names of the broker that its first certificate has. */
export const HOSTS = ['localhost', '127.0.0.1', 'a.example'];

/** A folder that goes with the test, and who signs what is in it. */
export class TlsFiles implements Disposable {
  readonly authority = new Authority();
  readonly server: Identity;
  readonly folder = mkdtempSync(join(tmpdir(), 'surgemq-tls-'));

  constructor() {
    this.server = this.authority.issue({ name: 'localhost', hosts: HOSTS });
    this.write('ca.pem', this.authority.cert);
    this.write('server.pem', this.server.cert);
    this.write('server.key', this.server.key);
  }

  /** @returns the path. */
  write(name: string, text: string): string {
    const path = this.path(name);
    writeFileSync(path, text);
    return path;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Options of a broker that has the first certificate. */
  get options(): ServerOptions {
    return { tlsCert: this.path('server.pem'), tlsKey: this.path('server.key') };
  }

  /** How clients connect that trust it. */
  get clientTls(): ConnectionOptions {
    return { ca: this.authority.cert, servername: 'localhost' };
  }

  /** A broker with its first listener behind TLS. */
  start(options: ServerOptions = {}, internals: ServerInternals = {}): Promise<Broker> {
    const all = { ...this.options, ...options };
    return startBroker(all, internals, 'tls://127.0.0.1:0', this.clientTls);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}
