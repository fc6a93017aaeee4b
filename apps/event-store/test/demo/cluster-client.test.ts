import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { afterEach, expect, it } from 'vitest'
import { ClusterClient, type AppendRequest } from '../../src/demo/cluster-client.ts'
import { EventFollower } from '../../src/demo/event-follower.ts'
import { flightStreams, loadFlights } from '../../src/demo/flights.ts'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

interface Seen {
  readonly key: string | string[] | undefined
  readonly url: string | undefined
  readonly body: unknown
}

it('sends an append of unknown outcome again, with the same identity, to another node', async () => {
  const seen: Seen[] = []
  const note = async (request: IncomingMessage): Promise<void> => {
    seen.push({ key: request.headers['idempotency-key'], url: request.url, body: await json(request) })
  }
  const dies = await node((request) => void note(request).then(() => request.socket.destroy()))
  const refuses = await node((request, response) => {
    void note(request).then(() => response.writeHead(503, { 'content-type': 'application/json' }).end('{"code":"unavailable"}'))
  })
  const answers = await node((request, response) => {
    void note(request).then(() => response.writeHead(201).end('{"revision":4,"position":9}'))
  })
  const client = new ClusterClient([dies, refuses, answers], new AbortController().signal)
  expect(await client.append(anAppend(), 0)).toEqual({ stream: 'airport-LAS', revision: 4, position: 9 })
  expect(seen).toHaveLength(3)
  expect(new Set(seen.map((request) => JSON.stringify(request))).size).toBe(1)
  expect(seen[0]?.key).toMatch(/^demo-/)
  expect(seen[0]?.url).toBe('/streams/airport-LAS?expected=3')
  expect(client.attemptsRepeated).toBe(2)
})

it('takes a refusal of a single writer for what it is: an error', async () => {
  const url = await node((_, response) => void response.writeHead(409).end('{"code":"wrong_expected_revision","actual":7}'))
  const client = new ClusterClient([url], new AbortController().signal)
  await expect(client.append(anAppend(), 0)).rejects.toMatchObject({
    code: 'demo_failed',
    message: expect.stringContaining('wrong_expected_revision'),
  })
})

it('stops trying when it is told to', async () => {
  const url = await node((request) => request.socket.destroy())
  const ending = new AbortController()
  const append = new ClusterClient([url], ending.signal).append(anAppend(), 0)
  ending.abort(new Error('told to stop'))
  await expect(append).rejects.toThrow('told to stop')
})

it('follows on at the next node behind the last id when a connection ends', async () => {
  const asked: (string | undefined)[] = []
  const listener =
    (first: number, last: number): RequestListener =>
    (request, response) => {
      asked.push(request.headers['last-event-id'] as string | undefined)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(': hello\n\n')
      for (let position = first; position <= last; position++) {
        response.write(`id: ${position}\nevent: event\ndata: ${JSON.stringify({ position })}\n\n`)
      }
      response.write(`id: ${last}\nevent: caughtUp\ndata: {}\n\n`, () => last === 3 && request.socket.destroy())
    }
  const follower = new EventFollower([await node(listener(1, 3)), await node(listener(4, 5))])
  follower.follow(0)
  await expect.poll(() => follower.events.map(({ position }) => position), { timeout: 10_000 }).toEqual([1, 2, 3, 4, 5])
  await follower.stop()
  expect(asked).toEqual([undefined, '3'])
  expect(follower.problems).toEqual([])
})

function anAppend(): AppendRequest {
  const stream = 'airport-LAS'
  return { stream, expected: 3, events: flightStreams(loadFlights(300)).get(stream)?.slice(0, 2) ?? [] }
}

async function node(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
