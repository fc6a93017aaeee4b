/** Why nothing can be measured; the message says what to do. */
export class BenchError extends Error {
  readonly code = 'bench_failed'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'BenchError'
  }
}
