/**
 * How the bytes of one connection come and go: TCP, a Unix domain socket, TLS, WebSocket. What
 * is above asks no transport which it is.
 */

/** What a transport tells its connection. */
export interface TransportOwner {
  /** The server can be spoken to. */
  onOpen(): void;
  /**
   * Bytes have come: the first `length` of `buffer`, which are overwritten afterwards.
   * @returns false when nothing more is to be given before `resume` is called.
   */
  onRead(buffer: Buffer, length: number): boolean;
  /** Nothing more comes. @param error null: the server has closed in order. */
  onEnd(error: Error | null): void;
  /** Nothing comes or goes any more, whatever the reason. */
  onTransportClosed(): void;
}

/** One connection to a server. */
export interface Transport {
  /** What is waited for until `onOpen`, such as 'TLS handshake'. */
  readonly stage: string;
  /** Bytes handed to `write` that the system has not taken. */
  readonly waitingBytes: number;
  /**
   * Sends bytes that are not altered until the system has taken them: when `waitingBytes` is 0, or
   * when `onWritten` is called, which comes once for each write, in order, and later.
   */
  write(bytes: Buffer, onWritten: (error?: Error | null) => void): void;
  /** Gives what comes again, after `onRead` has returned false. */
  resume(): void;
  /** Says that nothing more is sent; what was written is sent before. What comes is dropped. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}
