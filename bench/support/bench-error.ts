/** A run that could not be done; not a fault of the bench itself. */
export class BenchError extends Error {
  readonly code = 'SURGEMQ_BENCH';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BenchError';
  }
}
