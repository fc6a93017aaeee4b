import { createServer } from 'node:net'
import { randomInt } from 'node:crypto'
import { StartError } from './start-error.ts'

/** @throws StartError naming the first port that is taken, and the option */
export async function requireFree(host: string, base: number, nodes: readonly string[]): Promise<void> {
  if (base + nodes.length - 1 > 65_535) throw new StartError(`--port ${base}: ${nodes.length} nodes would need ports above 65535`)
  for (const [index, id] of nodes.entries()) {
    const why = await tryListen(host, base + index)
    if (why === undefined) continue
    const what = why === 'EADDRINUSE' ? 'is in use by another process' : `cannot be listened on (${why})`
    throw new StartError(`port ${base + index} at ${host}, for node ${id}, ${what}: stop that process, or choose other ports with --port`)
  }
}

/**
 * The ports themselves where they are free and not reserved, else others: below the range from which systems take ports for
 * outgoing connections.
 */
export async function transportPorts(host: string, wanted: readonly number[], reserved: readonly number[]): Promise<number[]> {
  const chosen: number[] = []
  for (const port of wanted) {
    let candidate = port
    for (
      let attempt = 0;
      candidate === 0 || reserved.includes(candidate) || chosen.includes(candidate) || (await tryListen(host, candidate)) !== undefined;
      attempt++
    ) {
      if (attempt === 200) throw new StartError(`no free port at ${host} for the transport: 200 were tried`)
      candidate = randomInt(20_000, 32_000)
    }
    chosen.push(candidate)
  }
  return chosen
}

/** The error's code if nobody can listen there. */
function tryListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}
