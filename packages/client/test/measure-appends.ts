/**
 * What an append costs the client: CPU and wall time against a scripted node in a process of its own, which answers at once.
 *   npx -y pnpm@12 exec node packages/client/test/measure-appends.ts [in flight, 256] [seconds, 10] [bytes of data, 256]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from '@synod/client'
import { ScriptedNode } from './scripted/scripted-node.ts'

if (process.argv[2] === 'node') {
  const node = new ScriptedNode()
  let position = 0
  // Answered without being kept: neither process shall grow.
  node.intercept = (message, connection) => {
    node.received.length = 0
    if (message.kind !== 'append') return false
    position += message.records.length
    connection.send({ kind: 'appended', request: message.request, revision: position - 1, position })
    return true
  }
  await node.start()
  process.send?.(node.url)
} else {
  const [inFlight = 256, seconds = 10, bytes = 256] = process.argv.slice(2).map(Number)
  const child = fork(import.meta.filename, ['node'])
  const [url] = (await once(child, 'message')) as [string]
  const client = connect({ nodes: [url] })
  const data = { text: 'x'.repeat(bytes - 11) }
  const run = async (milliseconds: number): Promise<number> => {
    let appends = 0
    const until = performance.now() + milliseconds
    await Promise.all(
      Array.from({ length: inFlight }, async (_, lane) => {
        while (performance.now() < until) {
          await client.append(`stream-${lane}`, { type: 'Measured', data })
          appends++
        }
      }),
    )
    return appends
  }
  await run(1000)
  const cpu = process.cpuUsage()
  const before = performance.now()
  const framesBefore = client.status().counters.framesSent
  const appends = await run(seconds * 1000)
  const used = process.cpuUsage(cpu)
  const elapsed = (performance.now() - before) / 1000
  const frames = client.status().counters.framesSent - framesBefore
  console.log(
    JSON.stringify({
      inFlight,
      bytes,
      appendsPerSecond: Math.round(appends / elapsed),
      cpuMicrosecondsPerAppend: Number(((used.user + used.system) / appends).toFixed(2)),
      appendsPerFrame: Number((appends / frames).toFixed(1)),
    }),
  )
  await client.close()
  child.kill()
}
