/** Asks a running broker of this user by its control socket. */
import { connect } from 'node:net';
import { errorCode } from '../base/error-code.js';
import { ConfigError } from '../base/errors.js';
import { CONTROL_ANSWER_TIMEOUT_MS } from '../base/limits.js';
import { UsageError } from './args.js';
import {
  controlDirectory,
  controlledPids,
  controlSocketOf,
  isRunning,
  whyNotOurs,
} from './control-directory.js';
import type { ControlAnswer, ControlRequest } from './control-messages.js';

/**
 * Asks the broker that `where` names.
 * @param where process id, path of a socket, or `auto`: the only broker there is.
 * @throws UsageError when there is no such broker; ConfigError with what it says against it.
 */
export async function askBroker(
  where: string,
  request: ControlRequest,
): Promise<Exclude<ControlAnswer, { faults: unknown }>> {
  const answer = await exchange(await socketOf(where), request);
  if ('faults' in answer) throw new ConfigError(answer.faults);
  return answer;
}

/** The path of the socket. */
async function socketOf(where: string): Promise<string> {
  if (where.includes('/')) return where;
  const directory = controlDirectory();
  if (/^\d+$/.test(where)) {
    const why = whyNotOurs(directory);
    if (why !== undefined) throw new UsageError([`no broker has a control socket: ${why}`]);
    return controlSocketOf(Number(where));
  }
  if (where !== 'auto') {
    throw new UsageError([`${where} is no broker: give a process id, or the path of its socket`]);
  }
  const running = controlledPids().filter(isRunning);
  if (running.length === 1) return controlSocketOf(running[0]);
  throw new UsageError([
    running.length === 0
      ? `no broker of this user runs: there is none in ${directory}`
      : `several brokers of this user run, with process ids ${running.join(', ')}: name one`,
  ]);
}

function exchange(path: string, request: ControlRequest): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    let text = '';
    const fail = (why: string): void => {
      socket.destroy();
      reject(new UsageError([`the broker at ${path} cannot be asked: ${why}`]));
    };
    const socket = connect(path);
    socket.setEncoding('utf8');
    socket.setTimeout(CONTROL_ANSWER_TIMEOUT_MS, () => fail('it does not answer'));
    socket.on('error', (error) => fail(REASONS[errorCode(error)] ?? error.message));
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on('data', (more: string) => {
      text += more;
    });
    socket.on('end', () => {
      try {
        resolve(JSON.parse(text) as ControlAnswer);
      } catch {
        fail('it has hung up without an answer');
      }
    });
  });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'nobody listens there any more',
  EACCES: 'it belongs to another user',
};
