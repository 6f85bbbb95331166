/** Connections to listeners of each kind, as far as MQTT, written by hand. */
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Broker } from './broker.js';
import { proxyV1 } from './proxy-headers.js';
import type { TlsFiles } from './tls-broker.js';
import { within } from './waiting.js';
import { clientFrame, upgradeRequest } from './websocket-frames.js';

export type Scheme = 'tcp' | 'tls' | 'ws' | 'wss';
export const SCHEMES: readonly Scheme[] = ['tcp', 'tls', 'ws', 'wss'];

/** Clients from this address are behind a proxy: from it alone a header is read, and must come. */
const PROXY_ADDRESS = '127.0.0.2';

/** Settings of a broker with a listener for each scheme. */
export const schemeOptions = (files: TlsFiles) => ({
  ...files.options,
  proxyProtocolFrom: PROXY_ADDRESS,
});

/** Has the broker listen for each scheme. @returns the ports. */
export async function listenByScheme(broker: Broker): Promise<ReadonlyMap<Scheme, number>> {
  const ports = new Map<Scheme, number>();
  for (const scheme of SCHEMES) {
    await broker.server.listenAndServe(`${scheme}://127.0.0.1:0`);
    ports.set(scheme, broker.server.addresses.at(-1)!.port);
  }
  return ports;
}

/** A connection on which MQTT may begin. */
export interface SchemeConnection {
  /** What it closes or resets. */
  readonly tcp: Socket;
  /** What it sends by. */
  readonly stream: Socket;
  /** Packets as they are sent here. */
  framed(packets: Buffer): Buffer;
}

/** Connects as the scheme says. */
export async function openByScheme(
  scheme: Scheme,
  port: number,
  isProxied: boolean,
  files: TlsFiles,
): Promise<SchemeConnection> {
  const localAddress = isProxied ? PROXY_ADDRESS : '127.0.0.1';
  const tcp = connectTcp({ host: '127.0.0.1', port, localAddress });
  tcp.on('error', () => {});
  await within(once(tcp, 'connect'), 'a connection');
  if (isProxied) tcp.write(proxyV1('198.51.100.7'));
  let stream = tcp;
  if (scheme === 'tls' || scheme === 'wss') {
    stream = connectTls({ ...files.clientTls, socket: tcp });
    stream.on('error', () => {});
    await within(once(stream, 'secureConnect'), 'a handshake');
  }
  const isFramed = scheme === 'ws' || scheme === 'wss';
  if (isFramed) {
    stream.write(upgradeRequest());
    await within(once(stream, 'data'), 'an answer to the request');
  }
  return { tcp, stream, framed: (packets) => (isFramed ? clientFrame(packets) : packets) };
}
