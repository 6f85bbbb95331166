/** A run that could not be done; not a fault of the bench itself. */
export class BenchError extends Error {
  readonly code = 'SURGEMQ_BENCH';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BenchError';
  }
}

/** A broker does not come up, or not in time. */
export class StartError extends BenchError {}
