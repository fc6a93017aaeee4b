/** Why `start` cannot start; the message says what to do. Nothing is left running. */
export class StartError extends Error {
  readonly code = 'start_refused'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StartError'
  }
}
