/** Why the demo cannot go on; the message says what to look at. Differences that the comparison finds are no errors: they are its result. */
export class DemoError extends Error {
  readonly code = 'demo_failed'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'DemoError'
  }
}
