/** What Linux tells of processes in /proc: CPU time and memory of a broker and what it started. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Clock ticks of /proc/PID/stat are hundredths of a second on every Linux that Node runs on. */
const NS_PER_TICK = 10_000_000;
const BYTES_PER_KIB = 1024;

/** Fields of /proc/PID/stat behind the name of the program, which may hold anything. */
function statFields(pid: number | string): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** A process and all that descend from it, those that still run. */
export function processTree(pid: number): number[] {
  const childrenOf = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statFields(name)?.[1]);
    childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), Number(name)]);
  }
  const tree = [pid];
  for (let at = 0; at < tree.length; at++) tree.push(...(childrenOf.get(tree[at]) ?? []));
  return tree;
}

/** User and system time of the processes so far, in nanoseconds, to a hundredth of a second. */
export function cpuNs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    // utime and stime, the 14th and 15th field of the file.
    if (fields !== null) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * NS_PER_TICK;
}

/** A line of /proc/PID/status in bytes, summed over the processes. */
function statusBytes(pids: readonly number[], name: string): number {
  let sum = 0;
  for (const pid of pids) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      const kib = new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1];
      sum += Number(kib ?? 0) * BYTES_PER_KIB;
    } catch {
      // It has ended since the list was made.
    }
  }
  return sum;
}

/**
 * CPU time of all threads of the process that run, in nanoseconds: finer than `cpuNs`, for what is
 * measured by windows of milliseconds, in which no thread of it ends.
 */
export function preciseCpuNs(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]);
    } catch {
      // It has ended since the list was made.
    }
  }
  return sum;
}

/** Memory resident now, in bytes. */
export function residentBytes(pids: readonly number[]): number {
  return statusBytes(pids, 'VmRSS');
}

/** Memory resident now that is no file's, in bytes: without what a memory map shows of one. */
export function anonymousBytes(pids: readonly number[]): number {
  return statusBytes(pids, 'RssAnon');
}

/** Most memory ever resident, in bytes, since the process began or `resetPeak`. */
export function peakBytes(pids: readonly number[]): number {
  return statusBytes(pids, 'VmHWM');
}

/** Lets the peak begin anew, where the kernel allows it. */
export function resetPeak(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
    } catch {
      // Another user's process, or a kernel without it: the peak is that of the process's life.
    }
  }
}

/** Hexadecimal `address:port` of /proc/net/tcp, its port. */
function portOf(address: string): number {
  return Number.parseInt(address.slice(address.indexOf(':') + 1), 16);
}

/**
 * Bytes on their way to a server on this machine that it has not read, in the client's socket and
 * in its own, by the client's port. IPv4 only, nothing where there is no /proc.
 */
export function socketQueueBytes(serverPort: number): Map<number, number> {
  const queued = new Map<number, number>();
  let text = '';
  try {
    text = readFileSync('/proc/net/tcp', 'latin1');
  } catch {
    // Not Linux.
  }
  for (const line of text.split('\n').slice(1)) {
    const [, local, remote, , queues] = line.trim().split(/\s+/);
    if (queues === undefined) continue;
    const [sending, receiving] = queues.split(':').map((bytes) => Number.parseInt(bytes, 16));
    const add = (port: number, bytes: number): void => {
      queued.set(port, (queued.get(port) ?? 0) + bytes);
    };
    if (portOf(remote) === serverPort) add(portOf(local), sending);
    if (portOf(local) === serverPort) add(portOf(remote), receiving);
  }
  return queued;
}

/** Descriptors that this process, and those it starts, may have open; Infinity if not known. */
export function descriptorsMax(): number {
  try {
    const text = readFileSync('/proc/self/limits', 'latin1');
    const limit = Number(/^Max open files +(\d+)/m.exec(text)?.[1]);
    return Number.isFinite(limit) ? limit : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
