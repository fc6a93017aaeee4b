/**
 * The NATS server of `start --transport nats`, kept alive at one port: nodes find it again by themselves. It keeps nothing but
 * its log and its process id below the data folder, and ends with this process, however that ends.
 */
import { startNats, type NatsServer } from '@synod/servers'
import { RestartPause } from './restart-pause.ts'

export interface SupervisedNatsOptions {
  /** `<data>/nats`. */
  readonly folder: string
  readonly port: number
  readonly restarts: boolean
  readonly report: (message: string) => void
}

const restartMilliseconds = 200
/** A server that keeps ending soon after its start is started less often. */
const restartMillisecondsMax = 10_000
const endedSoonMilliseconds = 5_000

export class SupervisedNats {
  readonly #options: SupervisedNatsOptions
  readonly #stopping = new AbortController()
  #server: NatsServer | undefined
  #keeping: Promise<void> | undefined

  constructor(options: SupervisedNatsOptions) {
    this.#options = options
  }

  /** Resolves when it takes clients. @throws ServerError `nats_not_found`, `server_did_not_start` */
  async start(): Promise<void> {
    const { folder, port } = this.#options
    const server = await startNats({ dataDir: folder, port })
    this.#server = server
    this.#keeping = this.#keepRunning(server)
  }

  /** Idempotent; not while starting. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#server?.stop()
    await this.#keeping
  }

  async #keepRunning(first: NatsServer): Promise<void> {
    const { restarts, report } = this.#options
    const restart = new RestartPause({
      millisecondsMin: restartMilliseconds,
      millisecondsMax: restartMillisecondsMax,
      signal: this.#stopping.signal,
    })
    for (let server: NatsServer | undefined = first; ;) {
      const startedAt = performance.now()
      await server?.exited
      await server?.stop() // what it left behind
      if (this.#stopping.signal.aborted) return
      if (!restarts) return report('NATS has ended; it is not started again, and without it no node reaches another')
      const endedSoon = performance.now() - startedAt < endedSoonMilliseconds
      const wait = restart.next(endedSoon)
      report(`NATS has ended; started again in ${wait / 1000} s`)
      await restart.wait()
      server = await this.#startAgain()
    }
  }

  async #startAgain(): Promise<NatsServer | undefined> {
    const { folder, port, report } = this.#options
    if (this.#stopping.signal.aborted) return undefined
    const server = await startNats({ dataDir: folder, port }).catch((error: Error) => report(`NATS does not start: ${error.message}`))
    if (server !== undefined && this.#stopping.signal.aborted) await server.stop()
    else if (server !== undefined) return (this.#server = server)
    return undefined
  }
}
