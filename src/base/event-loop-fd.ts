/**
 * The descriptor on which a thread's event loop waits: epoll's, which other threads of the process
 * may ask whether something is there that the thread has not read yet.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { platform } from 'node:process';

const EPOLL = 'anon_inode:[eventpoll]';
/** Numbers that are looked at: a server that has just started has some tens of descriptors. */
const DESCRIPTORS_MAX = 1024;

/**
 * The epoll descriptor that waits for `registeredFd`, which only this thread's event loop does, and
 * not before it has come round once. Some milliseconds of system calls.
 * @returns -1 where it is not found, as on other systems than Linux.
 */
export function findEventLoopFd(registeredFd: number): number {
  if (platform !== 'linux' || registeredFd < 0) return -1;
  const target = new RegExp(`^tfd:\\s+${registeredFd}\\s`, 'm');
  for (let fd = 3; fd < DESCRIPTORS_MAX; fd++) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== EPOLL) continue;
      if (target.test(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))) return fd;
    } catch {
      // It is not open, or there is no such file system.
    }
  }
  return -1;
}
