/**
 * What the tests use beside Node: Debian's Mosquitto, as a peer to talk to, and its Chromium, as a
 * browser for the client. `npm test` installs them where it may, and says what is missing where it
 * may not. Tests fail without Mosquitto rather than skip, since a test that skips tells nothing; a
 * browser is more than everybody can be asked for, so without it its test says so and no more.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The programs that the tests call, and the Debian packages that they come from. */
const PROGRAMS: Readonly<Record<string, string>> = {
  '/usr/sbin/mosquitto': 'mosquitto',
  '/usr/bin/mosquitto_pub': 'mosquitto-clients',
  '/usr/bin/mosquitto_sub': 'mosquitto-clients',
  '/usr/bin/chromium': 'chromium',
};
const BROKER = '/usr/sbin/mosquitto';
/** Debian asks this program whether a package may start its service: 101 says no. */
const POLICY = '/usr/sbin/policy-rc.d';
/** Where the package's own broker notes its process. */
const PID_FILES = ['/run/mosquitto/mosquitto.pid', '/run/mosquitto.pid'];
const APT_TIMEOUT_MS = 300_000;

/** What decides what can be done about missing programs. */
export interface Surroundings {
  readonly missing: readonly string[];
  /** Debian's package manager is here. */
  readonly hasApt: boolean;
  readonly isRoot: boolean;
  /** sudo asks for no password. */
  readonly hasSudo: boolean;
}

/** Packages to install, and a line for people: one of them or neither. */
export interface Plan {
  readonly packages: readonly string[];
  readonly complaint: string | null;
}

/** What to do about missing programs. */
export function planFor({ missing, hasApt, isRoot, hasSudo }: Surroundings): Plan {
  const packages = [...new Set(missing.map((program) => PROGRAMS[program] ?? program))];
  if (missing.length === 0) return { packages: [], complaint: null };
  if (hasApt && (isRoot || hasSudo)) return { packages, complaint: null };
  const why = hasApt
    ? 'this user may not install packages (neither root nor sudo without a password)'
    : 'there is no apt-get here';
  return {
    packages: [],
    complaint:
      `the tests need ${missing.join(', ')}, and ${why}: tests of test/interop ` +
      'will fail without Mosquitto, and that of test/browser tells nothing without Chromium; ' +
      `install Debian's ${packages.join(' and ')}`,
  };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function succeeds(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** The programs that are not here. */
export function missingPrograms(): string[] {
  return Object.keys(PROGRAMS).filter((program) => !isExecutable(program));
}

function surroundings(): Surroundings {
  const missing = missingPrograms();
  const isRoot = process.getuid?.() === 0;
  return {
    missing,
    isRoot,
    hasApt: missing.length > 0 && succeeds('apt-get', ['--version']),
    hasSudo: missing.length > 0 && !isRoot && succeeds('sudo', ['-n', 'true']),
  };
}

/** Runs a command as root. @returns what it said if it failed, null if not. */
function asRoot(isRoot: boolean, ...command: string[]): string | null {
  const [program, ...args] = isRoot ? command : ['sudo', '-n', ...command];
  const outcome = spawnSync(program!, args, { encoding: 'utf8', timeout: APT_TIMEOUT_MS });
  if (outcome.status === 0) return null;
  const said = (outcome.stderr ?? '').trim().split('\n').at(-1);
  return `${command.slice(0, 4).join(' ')}: ${outcome.error?.message ?? said ?? outcome.signal}`;
}

/**
 * Keeps the package's broker from being started, on port 1883, by its installation.
 * @returns how to undo it.
 */
function forbidServices(isRoot: boolean): () => void {
  if (existsSync(POLICY)) return () => {};
  const file = join(tmpdir(), `surgemq-policy-${process.pid}`);
  writeFileSync(file, '#!/bin/sh\nexit 101\n');
  asRoot(isRoot, 'install', '-m', '755', file, POLICY);
  rmSync(file);
  return () => {
    asRoot(isRoot, 'rm', '-f', POLICY);
  };
}

/** Stops the package's broker if it was started all the same, by its own process id. */
function stopPackagedBroker(isRoot: boolean): void {
  if (existsSync('/run/systemd/system')) {
    asRoot(isRoot, 'systemctl', 'disable', '--now', 'mosquitto');
  }
  for (const file of PID_FILES) {
    const pid = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
    if (/^\d+$/.test(pid)) asRoot(isRoot, 'kill', pid);
  }
}

function install(packages: readonly string[], isRoot: boolean): string | null {
  // One that was here before is its owner's affair, and may be in use.
  const isBrokerNew = !isExecutable(BROKER);
  const allowServices = forbidServices(isRoot);
  try {
    const apt = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'];
    return (
      asRoot(isRoot, ...apt, 'update', '-q') ??
      asRoot(isRoot, ...apt, 'install', '-q', '-y', '--no-install-recommends', ...packages)
    );
  } finally {
    allowServices();
    if (isBrokerNew) stopPackagedBroker(isRoot);
  }
}

/**
 * Installs what is missing where it may.
 * @param say takes the one line that says what was done or what is missing.
 */
export function provideTestPrograms(say: (line: string) => void): void {
  const here = surroundings();
  const { packages, complaint } = planFor(here);
  if (complaint !== null) say(complaint);
  if (packages.length === 0) return;
  say(`installing Debian's ${packages.join(' and ')} for the tests`);
  const fault = install(packages, here.isRoot);
  const missing = missingPrograms();
  if (missing.length === 0) return;
  say(`${missing.join(', ')} could not be installed (${fault ?? 'not in the packages'})`);
}
