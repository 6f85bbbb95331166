/** What one listener is configured to be: plain data, which a structured clone takes to shards. */
import type { ListenerOwnSettings } from './client-settings.js';

/** What is spoken at a listener, beneath MQTT. */
export const LISTENER_KINDS = ['tcp', 'tls', 'ws', 'wss', 'unix'] as const;
export type ListenerKind = (typeof LISTENER_KINDS)[number];

/** Whether clients are asked for a certificate, and turned away without a valid one. */
export const CLIENT_CERTIFICATE_CHOICES = ['none', 'optional', 'required'] as const;
export type ClientCertificateChoice = (typeof CLIENT_CERTIFICATE_CHOICES)[number];

/** A certificate with its key, both as paths of PEM files. */
export interface CertificatePaths {
  /** The certificate, behind it those that lead to its root. */
  readonly certificate: string;
  readonly key: string;
}

/** TLS of one listener: paths of PEM files, whose contents are in the Materials. */
export interface TlsConfig {
  /** The first is for clients that name no server, or an unknown one, by SNI. */
  readonly certificates: readonly CertificatePaths[];
  /** Roots that client certificates have to lead to; null: those of the system. */
  readonly ca: string | null;
  /** Certificate revocation lists; null: none. */
  readonly crl: string | null;
  readonly clientCertificate: ClientCertificateChoice;
  /** What of a client certificate is the user name; null: nothing. */
  readonly usernameFrom: 'cn' | 'san' | null;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

/** WebSocket of one listener. */
export interface WebSocketConfig {
  /** Path of the request, such as `/mqtt`. */
  readonly path: string;
  /** Values of Origin that are let in; empty: any, and none. */
  readonly origins: readonly string[];
}

/** One listener. */
export interface ListenerConfig {
  /** In its one spelling, such as `wss://0.0.0.0:443/mqtt`: what a listener is known by. */
  readonly uri: string;
  readonly kind: ListenerKind;
  /** Name or address without brackets, empty for all addresses; empty too for kind unix. */
  readonly host: string;
  /** 0 to 65,535; 0 lets the system choose, and is what kind unix has. */
  readonly port: number;
  /** Path of the socket, of kind unix alone; else empty. */
  readonly path: string;
  /** Permissions of the socket file, of kind unix alone; else 0. */
  readonly mode: number;
  /** Of kinds tls and wss; else null. */
  readonly tls: TlsConfig | null;
  /** Of kinds ws and wss; else null. */
  readonly websocket: WebSocketConfig | null;
  /** Addresses and networks (`10.0.0.0/8`) that speak the PROXY protocol here; empty: nobody. */
  readonly proxyProtocolFrom: readonly string[];
  /** Whether clients without credentials are let in; null: as the setting says for all. */
  readonly allowAnonymous: boolean | null;
  /** Connections by it at a time; null: as many as there may be in all. */
  readonly maxConnections: number | null;
  /** Its own values of settings. */
  readonly ownSettings: ListenerOwnSettings;
}
