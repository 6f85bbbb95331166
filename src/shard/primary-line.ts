/**
 * This shard's end of the channel to the primary: what is frequent is collected and sent once a
 * turn.
 */
import type { MessagePort } from 'node:worker_threads';
import type { CloseReason } from '../base/errors.js';
import { LOG_LINES_PER_SECOND_MAX, LOG_TEXT_LENGTH_MAX } from '../base/limits.js';
import type { AuthenticationQuestion, Claim, ToPrimary } from './control.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
const LEVELS: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error'];

/** One a shard. */
export class PrimaryLine {
  readonly #port: MessagePort;
  /** Called when something was collected, so that a turn's end follows. */
  readonly #schedule: () => void;
  #lowestLevel = LEVELS.length;
  /** Whether the embedding program wants to hear of clients that come and go. */
  isWatched = false;
  /** Whether it is told whose connections there are. */
  countsUsers = false;
  #claims: Claim[] = [];
  #settled: number[] = [];
  #dropped: number[] = [];
  #left: number[] = [];
  #published: number[] = [];
  #questions: AuthenticationQuestion[] = [];
  #linesThisSecond = 0;
  #linesLost = 0;

  /** @param logLevel lines below it are not sent; any name that is not a level sends none. */
  constructor(port: MessagePort, logLevel: string, schedule: () => void) {
    this.#port = port;
    this.#schedule = schedule;
    this.setLogLevel(logLevel);
  }

  /** Lines below this level are not sent from now on: see the constructor. */
  setLogLevel(logLevel: string): void {
    const level = LEVELS.indexOf(logLevel);
    this.#lowestLevel = level < 0 ? LEVELS.length : level;
  }

  claim(claim: Claim): void {
    this.#claims.push(claim);
    this.#schedule();
  }

  settled(claim: number): void {
    this.#settled.push(claim);
    this.#schedule();
  }

  dropped(claim: number): void {
    this.#dropped.push(claim);
    this.#schedule();
  }

  /** The connection of a claim is gone, and its session stays. */
  left(claim: number): void {
    if (!this.countsUsers) return;
    this.#left.push(claim);
    this.#schedule();
  }

  /** A publication of the program is on its way. */
  published(id: number): void {
    this.#published.push(id);
    this.#schedule();
  }

  /** The program is to decide about a CONNECT. */
  ask(question: AuthenticationQuestion): void {
    this.#questions.push(question);
    this.#schedule();
  }

  /** A client came or went. */
  event(name: 'connected' | 'disconnected', clientId: string, reason?: CloseReason): void {
    if (!this.isWatched) return;
    this.say({ kind: 'event', name, clientId, ...(reason === undefined ? {} : { reason }) });
  }

  /** Sends one message at once. */
  say(message: ToPrimary): void {
    this.#port.postMessage(message);
  }

  /** Whether lines of this level are sent: what goes into them need not be gathered otherwise. */
  isLogged(level: LogLevel): boolean {
    return LEVELS.indexOf(level) >= this.#lowestLevel;
  }

  /**
   * Has the primary log a line. A flood of bad clients must not become a flood of messages, nor a
   * long client id a long line.
   */
  log(level: LogLevel, fields: object, message: string): void {
    if (!this.isLogged(level)) return;
    if (this.#linesThisSecond >= LOG_LINES_PER_SECOND_MAX) {
      this.#linesLost++;
      return;
    }
    this.#linesThisSecond++;
    this.say({ kind: 'log', level, fields: shortened(fields), message });
  }

  /** A second has passed. */
  onSecond(): void {
    this.#linesThisSecond = 0;
    if (this.#linesLost === 0) return;
    const lost = this.#linesLost;
    this.#linesLost = 0;
    this.log('warn', { lost }, 'log lines were left out: more than a shard may log a second');
  }

  /** There is something for `flush` to send. */
  get hasCollected(): boolean {
    return (
      this.#dropped.length > 0 ||
      this.#left.length > 0 ||
      this.#settled.length > 0 ||
      this.#published.length > 0 ||
      this.#questions.length > 0 ||
      this.#claims.length > 0
    );
  }

  /** Sends what the turn has collected. */
  flush(): void {
    if (this.#dropped.length > 0) {
      this.say({ kind: 'dropped', claims: this.#dropped });
      this.#dropped = [];
    }
    if (this.#left.length > 0) {
      this.say({ kind: 'left', claims: this.#left });
      this.#left = [];
    }
    if (this.#settled.length > 0) {
      this.say({ kind: 'settled', claims: this.#settled });
      this.#settled = [];
    }
    if (this.#published.length > 0) {
      for (const id of this.#published) this.say({ kind: 'published', id });
      this.#published = [];
    }
    if (this.#questions.length > 0) {
      this.say({ kind: 'authenticate', questions: this.#questions });
      this.#questions = [];
    }
    if (this.#claims.length > 0) {
      this.say({ kind: 'claims', claims: this.#claims });
      this.#claims = [];
    }
  }
}

/** The fields with their texts at most LOG_TEXT_LENGTH_MAX long, and `…` where one was cut. */
function shortened(fields: object): Record<string, unknown> {
  const short: Record<string, unknown> = { ...fields };
  for (const [name, value] of Object.entries(short)) {
    if (typeof value !== 'string' || value.length <= LOG_TEXT_LENGTH_MAX) continue;
    short[name] = `${value.slice(0, LOG_TEXT_LENGTH_MAX)}…`;
  }
  return short;
}
