/** Pings: so that the server hears from us in time, and so that we notice when it is gone. */
import type { ClientSettings } from './options.js';

/** What keep alive needs of a connection. */
export interface KeepAliveHost {
  /** Sends PINGREQ; `answered` is to be called with the PINGRESP. */
  ping(): void;
  /** Whether anything was sent since the last call. */
  takeHasWritten(): boolean;
  /** Whether anything was received since the last call. */
  takeHasRead(): boolean;
  /** We do not read now, so that no answer can come. */
  readonly isReadingStopped: boolean;
  /** The server has sent nothing for the time it had. */
  onSilence(): void;
}

/**
 * Looks twice and a bit in a keep-alive interval whether something was sent. A gap between two
 * packets is shorter than two looks, so it is shorter than the interval [MQTT-3.1.2-23]. No clock
 * is read when a packet is sent.
 */
const LOOKS_PER_INTERVAL = 2.5;

export class KeepAlive {
  readonly #host: KeepAliveHost;
  readonly #answerTimeoutMs: number;
  #looks: NodeJS.Timeout | undefined;
  #answer: NodeJS.Timeout | undefined;

  constructor(settings: ClientSettings, host: KeepAliveHost) {
    this.#host = host;
    this.#answerTimeoutMs = settings.ackTimeoutMs;
  }

  /** Begins; does nothing when keep alive is 0. @param keepAliveSeconds 0 to 65,535. */
  start(keepAliveSeconds: number): void {
    const lookEveryMs = (keepAliveSeconds * 1_000) / LOOKS_PER_INTERVAL;
    if (lookEveryMs > 0) this.#looks = setInterval(() => this.#look(), lookEveryMs);
  }

  stop(): void {
    clearInterval(this.#looks);
    clearTimeout(this.#answer);
    this.#answer = undefined;
  }

  /** A PINGRESP has come. */
  answered(): void {
    clearTimeout(this.#answer);
    this.#answer = undefined;
  }

  #look(): void {
    const hasWritten = this.#host.takeHasWritten();
    const hasRead = this.#host.takeHasRead();
    // A publisher that sends all the time still wants to know whether anybody is there.
    const isAwaiting = this.#answer !== undefined;
    if (hasWritten && (hasRead || isAwaiting)) return;
    // While an answer is due the server still has to hear from us: it may be long in coming where
    // we do not read.
    this.#host.ping();
    if (!isAwaiting) this.#awaitAnswer();
  }

  #awaitAnswer(): void {
    this.#answer = setTimeout(() => {
      // Bytes that come are a sign of life, and the answer may stand behind them.
      if (this.#host.isReadingStopped || this.#host.takeHasRead()) this.#awaitAnswer();
      else this.#host.onSilence();
    }, this.#answerTimeoutMs);
  }
}
