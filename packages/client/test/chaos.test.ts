/**
 * Appends, atomic ones among them, and a subscription against nodes that do all the wrong things at random: die before or after an append happened, lose the
 * answer, refuse what they did and do what they refused, stall. The same seed makes the same choices; what the network makes of them
 * differs. About 6 s.
 */
import { expect, vi } from 'vitest'
import type { ClientMessage, NodeMessage } from '@synod/client-protocol'
import { decodeRecord } from '@synod/event-record'
import type { ScriptedConnection, ScriptedNode } from './scripted/scripted-node.ts'
import { it } from './with-client.ts'

type Append = Extract<ClientMessage, { readonly kind: 'append' | 'appendAtomically' }>
type Fault = (message: Append, connection: ScriptedConnection) => void

const lanes = 64
const appendsOfLane = 30

it.for([1, 2])('every append is answered once and stands once, seed %i', { timeout: 60_000, concurrent: true }, async (seed, { world }) => {
  const nodes = await world.nodes(3)
  const { store } = nodes[0]
  const dice = new Dice(seed)
  const carryOut = (message: Append): NodeMessage => (message.kind === 'append' ? store.append(message) : store.appendAtomically(message))
  const restart = async (node: ScriptedNode): Promise<void> => {
    await node.kill()
    await node.start()
  }
  let isRestarting = false
  const dies = (node: ScriptedNode): void => {
    if (isRestarting) return
    isRestarting = true
    void restart(node).then(() => (isRestarting = false))
  }
  const faults: readonly Fault[] = [
    (message, { node }) => (carryOut(message), dies(node)),
    (_, { node }) => dies(node),
    (message, connection) => (carryOut(message), connection.refuse(message.request, 'unavailable')),
    ({ request }, connection) => connection.refuse(request, 'unavailable'),
    ({ request }, connection) => connection.refuse(request, 'busy'),
    // Refused, and done later all the same.
    (message, connection) => (connection.refuse(message.request, 'unavailable'), void setTimeout(() => carryOut(message), dice.below(50))),
    (message, connection) => void setTimeout(() => connection.send(carryOut(message)), dice.below(50)),
    (message, connection) => (carryOut(message), connection.socket.terminate()),
    (message, connection) => (carryOut(message), connection.socket.send(Buffer.from([1, 2, 3]))),
  ]
  for (const node of nodes) {
    node.intercept = (message, connection) => {
      if ((message.kind !== 'append' && message.kind !== 'appendAtomically') || dice.below(100) >= 4) return false
      faults[dice.below(faults.length)]?.(message, connection)
      return true
    }
  }

  const client = world.client(nodes, { subscriptionBytesMax: 2000 })
  const followed: bigint[] = []
  const following = (async () => {
    for await (const message of client.subscribe()) if (message.kind === 'event') followed.push(message.event.position)
  })()
  following.catch(() => undefined) // ends when the client is closed
  const answers = await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      const of: { n: number; revision: bigint; position: bigint }[] = []
      for (let n = 0; n < appendsOfLane; n++) {
        const stream = `lane-${lane}`
        if (lane % 4 === 1) {
          // On a condition that its own event violates: a retry that was judged again would be refused.
          const tags = [`${lane}/${n}`]
          const { position, streams } = await client.appendAtomically({
            writes: [{ stream, events: { type: 'T', data: { lane, n }, tags } }],
            condition: { failIfEventsMatch: { items: [{ tags }] } },
          })
          of.push({ n, position, revision: streams[0]!.revision })
          continue
        }
        const expected = lane % 2 === 0 ? { expected: of.at(-1)?.revision ?? ('noStream' as const) } : {}
        of.push({ n, ...(await client.append(stream, { type: 'T', data: { lane, n } }, expected)) })
      }
      return of
    }),
  )
  expect(store.events).toHaveLength(lanes * appendsOfLane)
  for (const [lane, of] of answers.entries()) {
    for (const { n, revision, position } of of) {
      const event = store.events[Number(position) - 1]
      expect({ stream: event?.stream, revision: event?.revision }).toEqual({ stream: `lane-${lane}`, revision: Number(revision) })
      expect(JSON.parse(Buffer.from(decodeRecord(event!.record).data).toString())).toEqual({ lane, n })
    }
  }
  await vi.waitFor(() => expect(followed).toHaveLength(lanes * appendsOfLane), { timeout: 20_000 })
  expect(followed.map(Number)).toEqual(Array.from({ length: lanes * appendsOfLane }, (_, n) => n + 1))
  expect(client.status().counters.retries).toBeGreaterThan(50)
})

/** mulberry32. */
class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  below(count: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % count
  }
}
