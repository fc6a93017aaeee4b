import { describe, expect, vi } from 'vitest'
import { BusyError, UnavailableError, WrongExpectedRevisionError } from '@synod/client'
import { bytesToHex } from '@synod/codec'
import { nodeFrameWriter } from '@synod/client-protocol'
import { decodeRecord } from '@synod/event-record'
import { ScriptedNode } from './scripted/scripted-node.ts'
import { all, it, rejection } from './with-client.ts'

const event = { type: 'T', data: { some: 'data' } }

describe('finding nodes', { concurrent: true }, () => {
  it('goes to the leader, whichever node was named', async ({ world }) => {
    const nodes = await world.nodes(3)
    const client = world.client([nodes[2]!])
    await client.append('a', event)
    await vi.waitFor(() => expect(client.status().connections.some(({ isLeader }) => isLeader)).toBe(true))
    const before = nodes[0].messages('append').length
    await client.append('a', event)
    expect(nodes[0].messages('append')).toHaveLength(before + 1)
    expect(client.status()).toMatchObject({ leader: 'n1', cluster: 'c' })
  })

  it('appends at any node that serves while the leader cannot be reached', async ({ world }) => {
    const nodes = await world.nodes(3)
    await nodes[0].kill()
    const client = world.client([nodes[1]!])
    await client.append('a', event)
    expect(nodes[1]!.messages('append')).toHaveLength(1)
  })

  it('passes over nodes that are not there, hang, greet without serving, or belong to another cluster', async ({ world }) => {
    const nodes = await world.nodes(4)
    const [gone, hanging, learning, good] = nodes as unknown as [ScriptedNode, ScriptedNode, ScriptedNode, ScriptedNode]
    await gone.kill()
    hanging.greets = false
    learning.isServing = false
    const client = world.client(nodes)
    await client.append('a', event)
    expect(good.messages('append')).toHaveLength(1)

    const stranger = await new ScriptedNode('x').start()
    stranger.cluster = 'd'
    const both = world.client([good])
    await both.append('a', event)
    good.members = [
      { id: 'n4', url: good.url },
      { id: 'x', url: stranger.url },
    ]
    good.leader = 'x'
    good.announce()
    await vi.waitFor(() => expect(both.status().lastProblem).toMatch(/belongs to cluster d, not c/))
    await both.append('a', event)
    expect(stranger.messages('append')).toEqual([])
    await stranger.kill()
  })

  it('has one connection a node, however many names the node has', async ({ world }) => {
    const [node] = await world.nodes(1)
    // Nobody says that both are one.
    node.members = [{ id: 'n2', url: 'http://127.0.0.1:1' }]
    node.isServing = false
    const client = world.client([node], { nodes: [node.url, node.url.replace('127.0.0.1', 'localhost'), `${node.url}/`] })
    const appended = client.append('a', event)
    await vi.waitFor(() => expect(node.handshakes).toBe(2), { timeout: 5000 })
    await vi.waitFor(() => expect(node.connections.size).toBe(1))
    node.isServing = true
    node.announce()
    await appended
    expect(node.handshakes).toBe(2)
  })

  it('follows the leader when it changes', async ({ world }) => {
    const nodes = await world.nodes(3)
    const client = world.client(nodes)
    await client.append('a', event)
    const before = nodes[1]!.messages('append').length
    for (const node of nodes) {
      node.leader = 'n2'
      node.announce()
    }
    await vi.waitFor(() => expect(client.status().connections).toContainEqual(expect.objectContaining({ node: 'n2', isLeader: true })))
    await client.append('a', event)
    expect(nodes[1]!.messages('append')).toHaveLength(before + 1)
  })

  it('does not take the word of a node that is cut off', async ({ world }) => {
    const nodes = await world.nodes(2)
    const client = world.client([nodes[1]!])
    await client.append('a', event)
    await vi.waitFor(() => expect(client.status().connections.some(({ isLeader }) => isLeader)).toBe(true))
    nodes[1]!.isServing = false
    nodes[1]!.leader = undefined
    nodes[1]!.announce()
    nodes[1]!.leader = 'n2'
    nodes[1]!.announce()
    await client.append('a', event)
    expect(client.status().leader).toBe('n1')
  })

  it('waits for a node to serve, and sends then', async ({ world }) => {
    const [node] = await world.nodes(1)
    node.isServing = false
    const client = world.client([node])
    const appended = client.append('a', event)
    await vi.waitFor(() => expect(client.status().connections).toMatchObject([{ state: 'open', isServing: false }]))
    expect(node.messages('append')).toEqual([])
    node.isServing = true
    node.announce()
    expect(await appended).toEqual({ revision: 0n, position: 1n })
  })
})

describe('trying again', { concurrent: true }, () => {
  it('sends the same bytes to another node when the first one dies, in the order of the first time', async ({ world }) => {
    const nodes = await world.nodes(3)
    const client = world.client(nodes)
    await client.append('warm', event)
    await vi.waitFor(() => expect(client.status().connections.some(({ isLeader }) => isLeader)).toBe(true))
    nodes[0].intercept = (message) => message.kind === 'append'
    const appended = Promise.all(Array.from({ length: 256 }, (_, n) => client.append('a', { type: 'T', data: n })))
    await vi.waitFor(() => expect(nodes[0].messages('append').length).toBeGreaterThan(255))
    await nodes[0].kill()
    const answers = await appended
    expect(answers.map(({ revision }) => revision)).toEqual(Array.from({ length: 256 }, (_, n) => BigInt(n)))
    const hex = (node: ScriptedNode): string[] =>
      node.messages('append').flatMap(({ stream, records }) => (stream === 'a' ? records.map(bytesToHex) : []))
    const again = hex(nodes[1]!).length > 0 ? hex(nodes[1]!) : hex(nodes[2]!)
    // The node stamps its own copy, so what comes twice is the same to the last bit.
    expect(again).toEqual(hex(nodes[0]))
    expect(client.status().counters).toMatchObject({ retries: 256 })
  })

  it('is one append when only the answer was lost', async ({ world }) => {
    const nodes = await world.nodes(2)
    const client = world.client(nodes)
    await client.append('warm', event)
    await vi.waitFor(() => expect(client.status().connections.some(({ isLeader }) => isLeader)).toBe(true))
    nodes[0].intercept = (message) => {
      if (message.kind !== 'append') return false
      nodes[0].store.append(message)
      void nodes[0].kill()
      return true
    }
    expect(await client.append('a', event, { expected: 'noStream' })).toEqual({ revision: 0n, position: 2n })
    expect(nodes[0].store.stream('a')).toHaveLength(1)
  })

  it('goes elsewhere when a node is unavailable, and again to the same one when it is busy', async ({ world }) => {
    const nodes = await world.nodes(2)
    const client = world.client(nodes)
    nodes[0].intercept = (message, connection) => {
      if (message.kind === 'append') connection.refuse(message.request, 'unavailable')
      return message.kind === 'append'
    }
    await client.append('a', event)
    await client.append('a', event)
    expect(nodes[1]!.messages('append')).toHaveLength(2)

    let refusals = 0
    for (const node of nodes) {
      node.intercept = (message, connection) => {
        if (message.kind !== 'append' || refusals === 3) return false
        refusals++
        connection.refuse(message.request, 'busy')
        return true
      }
    }
    await client.append('a', event)
    expect(nodes[0].store.stream('a')).toHaveLength(3)
  })

  it('gives a node up that is silent, and pings it before', async ({ world }) => {
    const nodes = await world.nodes(2)
    const client = world.client(nodes)
    await client.append('warm', event)
    await vi.waitFor(() => expect(client.status().connections.some(({ isLeader }) => isLeader)).toBe(true))
    // Pings are read, so that they are seen; nothing is answered.
    nodes[0].intercept = () => true
    const startedAt = performance.now()
    await client.append('a', event)
    expect(performance.now() - startedAt).toBeGreaterThan(2000)
    expect(nodes[0].messages('ping').length).toBeGreaterThanOrEqual(2)
    expect(client.status().lastProblem).toMatch(/silent/)
  })

  it('gives a half-open connection up', async ({ world }) => {
    const nodes = await world.nodes(2)
    const client = world.client(nodes)
    await client.append('warm', event)
    await vi.waitFor(() => expect(client.status().connections.some(({ isLeader }) => isLeader)).toBe(true))
    nodes[0].hang()
    expect(await client.append('a', event)).toEqual({ revision: 0n, position: 2n })
  })

  it('keeps a connection on which only pongs come', async ({ world }) => {
    const [node] = await world.nodes(1)
    const client = world.client([node])
    const held: (() => void)[] = []
    node.intercept = (message, connection) => {
      if (message.kind === 'append') held.push(() => connection.send(node.store.append(message)))
      return message.kind === 'append'
    }
    const appended = client.append('a', event)
    await vi.waitFor(() => expect(node.messages('ping').length).toBeGreaterThanOrEqual(4), { timeout: 10_000 })
    held.forEach((answer) => answer())
    await appended
    expect(node.handshakes).toBe(1)
  })

  it('drops a connection whose frames do not decode, and uses nothing of them', async ({ world }) => {
    const nodes = await world.nodes(2)
    const client = world.client(nodes)
    for (const node of nodes) {
      node.intercept = (message, connection) => {
        if (message.kind !== 'append') return false
        for (const each of nodes) each.intercept = undefined
        // A good answer, and behind it a message that ends too early.
        const writer = nodeFrameWriter()
        writer.add({ kind: 'appended', request: message.request, revision: 77, position: 77 })
        connection.socket.send(Buffer.concat([writer.take(), Buffer.from([65, 0, 0, 0, 1, 0, 0, 0, 200])]))
        return true
      }
    }
    expect(await client.append('a', event)).toEqual({ revision: 0n, position: 1n })
    expect(client.status().lastProblem).toMatch(/does not decode/)
  })
})

describe('when the time is up', { concurrent: true }, () => {
  it('says that nothing was written if nothing was sent', async ({ world }) => {
    const [node] = await world.nodes(1)
    await node.kill()
    const client = world.client([node], { appendTimeout: 300 })
    const id = '0190a2b4-0000-7000-8000-00000000abcd'
    const error = await rejection(client.append('a', { ...event, id }))
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error).toMatchObject({ code: 'unavailable', outcomeUnknown: false, eventIds: [id] })
    expect((error as Error).message).toMatch(/nothing was written.*|cannot be reached/)
  })

  it('says that the outcome is unknown if it was sent, and the ids make it one append', async ({ world }) => {
    const [node] = await world.nodes(1)
    const client = world.client([node], { appendTimeout: 300 })
    node.intercept = (message) => {
      if (message.kind === 'append') node.store.append(message)
      return message.kind === 'append'
    }
    const error = await rejection(client.append('a', [event, event]))
    expect(error).toMatchObject({ code: 'unavailable', outcomeUnknown: true })
    const { eventIds } = error as UnavailableError
    expect(eventIds).toEqual(node.store.events.map(({ record }) => decodeRecord(record).id))
    node.intercept = undefined
    const again = await client.append(
      'a',
      eventIds.map((id) => ({ ...event, id })),
      { expected: 'noStream' },
    )
    expect(again).toEqual({ revision: 1n, position: 2n })
    expect(node.store.events).toHaveLength(2)
    // The first request was given up, and its answer would be nobody's.
    expect(node.messages('cancel')).toHaveLength(1)
  })

  it('is busy if nodes only ever were, and unknown once one try of several is', async ({ world }) => {
    const [node] = await world.nodes(1)
    const client = world.client([node], { appendTimeout: 600 })
    node.intercept = (message, connection) => {
      if (message.kind === 'append') connection.refuse(message.request, 'busy')
      return message.kind === 'append'
    }
    expect(await rejection(client.append('a', event))).toBeInstanceOf(BusyError)
    let tries = 0
    node.intercept = (message, connection) => {
      if (message.kind === 'append') connection.refuse(message.request, tries++ === 0 ? 'a_code_of_next_year' : 'busy')
      return message.kind === 'append'
    }
    expect(await rejection(client.append('a', event))).toMatchObject({ code: 'unavailable', outcomeUnknown: true })
    expect(tries).toBeGreaterThan(2)
  })

  it('tells a refusal after a try in doubt only when it stays true', async ({ world }) => {
    const [node] = await world.nodes(1)
    const client = world.client([node])
    await client.append('a', [event, event, event])
    const refuseThen = (): void => {
      let tries = 0
      node.intercept = (message, connection) => {
        if (message.kind !== 'append' || tries++ > 0) return false
        connection.refuse(message.request, 'unavailable')
        return true
      }
    }
    // Revisions only grow: what was tried first can never find the stream there.
    for (const expected of [1n, 'noStream'] as const) {
      refuseThen()
      expect(await rejection(client.append('a', event, { expected }))).toBeInstanceOf(WrongExpectedRevisionError)
    }
    // The stream may get there, and the first try may come after that.
    for (const [stream, expected] of [
      ['a', 7n],
      ['b', 'streamExists'],
      ['b', 0n],
    ] as const) {
      refuseThen()
      const error = await rejection(client.append(stream, event, { expected }))
      expect(error).toMatchObject({ code: 'unavailable', outcomeUnknown: true })
      expect((error as Error).cause).toBeInstanceOf(WrongExpectedRevisionError)
    }
  })
})

describe('connections', { concurrent: true }, () => {
  it('that are of no more use are closed, but one', { timeout: 60_000 }, async ({ world }) => {
    const nodes = await world.nodes(3)
    const client = world.client([nodes[2]!])
    await client.append('a', event)
    await vi.waitFor(() => expect(client.status().connections).toHaveLength(2))
    await vi.waitFor(() => expect(client.status().connections).toMatchObject([{ node: 'n1', isLeader: true }]), {
      timeout: 30_000,
      interval: 250,
    })
    await vi.waitFor(() => expect(nodes[2]!.connections.size).toBe(0))
    expect(await all(client.readAll())).toHaveLength(1)
    expect(client.status().counters.connectionsLost).toBe(0)
  })
})
