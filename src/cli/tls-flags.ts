/** Flags of TLS, as mosquitto_pub has them: files read, made into the client's options. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsOptions } from '../client/index.js';
import type { Flag } from './args.js';
import type { CommandLine } from './mqtt-command.js';

/** Flags of TLS. */
export const TLS_FLAGS: readonly Flag[] = [
  {
    name: 'cafile',
    placeholder: 'file',
    summary: 'Root certificates to trust, in PEM; TLS is spoken then, at port 8883.',
  },
  {
    name: 'capath',
    placeholder: 'directory',
    summary: 'The same: of all files of a directory that end in .crt or .pem.',
  },
  {
    name: 'tls-use-os-certs',
    summary: "The same: the system's roots. So it is with mqtts:// or port 8883 alone.",
  },
  { name: 'cert', placeholder: 'file', summary: 'Certificate of this client, in PEM.' },
  { name: 'key', placeholder: 'file', summary: 'Its private key, in PEM.' },
  { name: 'keyform', placeholder: 'pem', summary: 'Form of the key: pem.' },
  {
    name: 'insecure',
    summary: "The server's certificate may be for another host: for tests, not for use.",
  },
  { name: 'servername', placeholder: 'host', summary: 'Name asked for by SNI; default: the host.' },
  { name: 'tls-alpn', placeholder: 'protocol', summary: 'Protocol offered by ALPN, such as mqtt.' },
  {
    name: 'tls-version',
    placeholder: 'version',
    summary: 'Oldest version of TLS: tlsv1.2 (default) or tlsv1.3.',
  },
  { name: 'ciphers', placeholder: 'list', summary: "Cipher suites, in OpenSSL's words." },
];

/** Where systems keep their roots, all in one file: Debian, Red Hat, Alpine and macOS. */
const SYSTEM_ROOTS = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
];
const VERSIONS: Readonly<Record<string, TlsOptions['minVersion']>> = {
  'tlsv1.2': 'TLSv1.2',
  'tlsv1.3': 'TLSv1.3',
};
/** Flags that ask for TLS by themselves, as those of mosquitto_pub do. */
const ASKING = ['cafile', 'capath', 'tls-use-os-certs'];

/** Whether flags ask for TLS, whatever the URL says. */
export function asksForTls(line: CommandLine): boolean {
  return ASKING.some((name) => line.has(name));
}

/**
 * Reads the flags of TLS. Faults are noted in `line`.
 * @param isTls whether TLS is spoken. @returns undefined without it.
 */
export function readTlsFlags(line: CommandLine, isTls: boolean): TlsOptions | undefined {
  if (!isTls) {
    for (const { name } of TLS_FLAGS) {
      if (!line.has(name)) continue;
      line.faults.push(`--${name} needs TLS: add --cafile, -L mqtts://… or wss://…, or -p 8883`);
    }
    return undefined;
  }
  const keyForm = line.text('keyform') ?? 'pem';
  if (keyForm !== 'pem') line.faults.push(`Invalid keyform given: ${keyForm}; allowed: pem`);
  const version = line.text('tls-version');
  const minVersion = version === undefined ? undefined : VERSIONS[version];
  if (version !== undefined && minVersion === undefined) {
    line.faults.push(`Invalid tls-version given: ${version}; allowed: tlsv1.2, tlsv1.3`);
  }
  return {
    ca: rootsOf(line),
    cert: fileOf(line, 'cert'),
    key: fileOf(line, 'key'),
    servername: line.text('servername'),
    alpn: line.text('tls-alpn'),
    checkHost: !line.has('insecure'),
    minVersion,
    ciphers: line.text('ciphers'),
  };
}

/** Contents of the file that a flag names; undefined if it cannot be read. */
function fileOf(line: CommandLine, name: string): Buffer | undefined {
  const path = line.text(name);
  return path === undefined ? undefined : contentsOf(line, name, path);
}

function contentsOf(line: CommandLine, name: string, path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    line.faults.push(`--${name} ${path} cannot be read: ${(error as Error).message}`);
    return undefined;
  }
}

/** Roots of all flags; undefined for those that Node ships. */
function rootsOf(line: CommandLine): Buffer[] | undefined {
  const roots: (Buffer | undefined)[] = [fileOf(line, 'cafile')];
  const directory = line.text('capath');
  if (directory !== undefined) roots.push(...rootsIn(line, directory));
  if (line.has('tls-use-os-certs') || !asksForTls(line)) roots.push(systemRoots());
  const found = roots.filter((root) => root !== undefined);
  return found.length === 0 ? undefined : found;
}

/** Files of a directory, as mosquitto_pub wants them named (`.crt`), and `.pem` too. */
function rootsIn(line: CommandLine, directory: string): (Buffer | undefined)[] {
  try {
    const names = readdirSync(directory).filter((name) => /\.(?:crt|pem)$/.test(name));
    if (names.length === 0) {
      line.faults.push(`--capath ${directory} has no file that ends in .crt or .pem`);
    }
    return names.sort().map((name) => contentsOf(line, 'capath', join(directory, name)));
  } catch (error) {
    line.faults.push(`--capath ${directory} cannot be read: ${(error as Error).message}`);
    return [];
  }
}

function systemRoots(): Buffer | undefined {
  for (const path of SYSTEM_ROOTS) {
    try {
      return readFileSync(path);
    } catch {
      // Of another system.
    }
  }
  return undefined;
}
