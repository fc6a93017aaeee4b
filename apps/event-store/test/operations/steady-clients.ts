/** Clients that append one after the other at the nodes given, and note when each answer came: what a pause looks like from outside. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

export class SteadyClients {
  /** Of acknowledged appends, in the order of their answers. */
  readonly answeredAt: number[] = []
  readonly acknowledged: { readonly id: string; readonly position: number }[] = []
  /** Answers that were no success, by what they said; each was tried again. */
  readonly retried = new Map<string, number>()
  readonly #urls: readonly string[]
  readonly #running: readonly Promise<void>[]
  #stopping = false

  /** With several urls a client goes to the next one when an answer is no success. */
  constructor(urls: readonly string[], clients: number) {
    this.#urls = urls
    this.#running = Array.from({ length: clients }, (_, client) => this.#run(client))
  }

  /** The longest time without an acknowledged append in between, in milliseconds. */
  longestPause(from: number, to: number): number {
    const within = [from, ...this.answeredAt.filter((at) => at > from && at < to), to]
    return Math.max(...within.slice(1).map((at, index) => at - (within[index] ?? at)))
  }

  /** Rejects when an append was given up. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#running)
  }

  async #run(client: number): Promise<void> {
    for (let n = 0; !this.#stopping; n++) await this.#append(`client-${client}`, client, n)
  }

  async #append(stream: string, client: number, n: number): Promise<void> {
    const id = randomUUID()
    const body = JSON.stringify([{ id, type: 'Steady', data: n }])
    const deadline = performance.now() + 20_000
    for (let attempt = 0; performance.now() < deadline; attempt++) {
      const url = this.#urls[(client + attempt) % this.#urls.length]
      let said: string
      try {
        const response = await fetch(`${url}/streams/${stream}`, { method: 'POST', body, signal: AbortSignal.timeout(10_000) })
        const answer = (await response.json()) as { position: number; code?: string }
        if (response.status === 201) {
          this.answeredAt.push(performance.now())
          this.acknowledged.push({ id, position: answer.position })
          return
        }
        said = String(answer.code)
      } catch {
        said = 'no answer' // the node is gone
      }
      this.retried.set(said, (this.retried.get(said) ?? 0) + 1)
      await sleep(10)
    }
    throw new Error(`an append was not acknowledged in 20 s: ${JSON.stringify([...this.retried])}`)
  }
}
