import { randomInt } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requireFree } from '../supervisor/ports.ts'
import { StartError } from '../supervisor/start-error.ts'
import { Supervisor } from '../supervisor/supervisor.ts'

const host = '127.0.0.1'
const ids = ['n1', 'n2', 'n3']

/** Three supervised nodes on free ports, with data in a temporary folder that goes with them. */
export class DemoCluster {
  readonly folder: string
  readonly #supervisor: Supervisor

  private constructor(folder: string, supervisor: Supervisor) {
    this.folder = folder
    this.#supervisor = supervisor
  }

  /** Makes the folder; nothing runs yet. */
  static async create(report: (message: string) => void): Promise<DemoCluster> {
    const port = await freeBase()
    const folder = mkdtempSync(join(tmpdir(), 'synod-demo-'))
    // Postgres does not run as root: another user has to pass through.
    chmodSync(folder, 0o711)
    const common = { nodes: ids.length, consensus: undefined, transport: '@synod/transport-tcp', restarts: true }
    return new DemoCluster(folder, new Supervisor({ ...common, data: folder, host, port, report }))
  }

  /** In the order of the nodes. Known once it has started. */
  get urls(): readonly string[] {
    return this.#supervisor.urls
  }

  /** Resolves when all nodes are ready, or when it was stopped meanwhile. */
  start(): Promise<void> {
    return this.#supervisor.start()
  }

  /** A node's process writes its id into the lock in its own folder, and this folder is only ours. */
  isProcessOf(id: string, pid: number): boolean {
    try {
      return readFileSync(join(this.folder, id, 'node.lock'), 'utf8').startsWith(`${pid} `)
    } catch {
      return false // no such node, or it does not run
    }
  }

  /** Stops all that runs and removes the data. Idempotent; may be called while starting. */
  async remove(): Promise<void> {
    try {
      await this.#supervisor.stop()
    } finally {
      rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
    }
  }
}

/** Below the range that the transport's ports are drawn from. */
async function freeBase(): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const base = randomInt(12_000, 19_990)
    try {
      await requireFree(host, base, ids)
      return base
    } catch (error) {
      if (!(error instanceof StartError) || attempt === 100) throw error
    }
  }
}
