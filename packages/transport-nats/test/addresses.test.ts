import { startNats, type NatsServer } from '@synod/servers'
import { TransportError } from '@synod/transport'
import { transport } from '@synod/transport-nats'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { addressesAt, atPort, counted, echoed, Nodes, subjectOf } from './nodes.ts'

let server: NatsServer
let nodes: Nodes | undefined
beforeAll(async () => void (server = await startNats()), 180_000)
afterEach(async () => {
  await nodes?.close()
  nodes = undefined
})
afterAll(() => server?.stop())

describe('what an address is', () => {
  test.each([
    '',
    '127.0.0.1:4222',
    'nats://127.0.0.1:4222',
    'nats://127.0.0.1:4222/',
    'nats:///synod.n1',
    'nats://127.0.0.1/synod.n1',
    'nats://127.0.0.1:0/synod.n1',
    'nats://127.0.0.1:65536/synod.n1',
    'nats://127.0.0.1:4222,/synod.n1',
    'nats://user:secret@127.0.0.1:4222/synod.n1',
    'nats://127.0.0.1:4222/synod..n1',
    'nats://127.0.0.1:4222/synod.*',
    'nats://127.0.0.1:4222/synod.>',
    'nats://127.0.0.1:4222/synod.n 1',
    'nats://127.0.0.1:4222/synod.n1\n',
    'nats://127.0.0.1:4222/synod/n1',
    `nats://127.0.0.1:4222/${'s'.repeat(201)}`,
    `nats://${Array(17).fill('127.0.0.1:4222').join(',')}/synod.n1`,
    'ws://127.0.0.1:4222/synod.n1',
  ])('%j is refused and named', async (address) => {
    const opening = transport.open({ self: 'n1', addresses: new Map([['n1', address]]) })
    await expect(opening).rejects.toThrow(TransportError)
    await expect(opening).rejects.toMatchObject({
      code: 'invalid_options',
      message: expect.stringMatching(/the address of n1 must be nats:\/\/host:port/),
    })
  })

  test.each(['N1', '', 'n_1', 'n'.repeat(65), 'é', 'a.b'])('the node id %j is refused', async (self) => {
    const opening = transport.open({ self, addresses: new Map([[self, 'nats://127.0.0.1:4222/synod.n1']]) })
    await expect(opening).rejects.toMatchObject({ code: 'invalid_options' })
  })

  test('two nodes on one subject are refused, both named', async () => {
    const address = 'nats://127.0.0.1:4222/synod.n'
    const addresses = new Map(['n1', 'n2'].map((node) => [node, address]))
    const opening = transport.open({ self: 'n1', addresses })
    await expect(opening).rejects.toMatchObject({ code: 'invalid_options', message: expect.stringMatching(/n1 and n2/) })
  })

  test('of several servers the first that answers is taken, and each node may have its own', async () => {
    await using other = await startNats()
    const addresses = addressesAt(server.port, 'n1', 'n2')
    const dead = atPort(addresses, 1)
    const several = new Map([...dead].map(([node, text]) => [node, text.replace('/synod', `,[::1]:2,127.0.0.1:${other.port}/synod`)]))
    const options = { dialMsMax: 500 }
    nodes = new Nodes(addresses)
    const n1 = await nodes.open('n1', { addresses: new Map([...addresses, ['n1', several.get('n1')!]]), options })
    await nodes.openEcho('n2', { addresses: several, options })
    await echoed(n1, 'n2')
  })
})

describe('a wrong address', () => {
  test('a subject where another node hears: both say so, no frame passes', async () => {
    nodes = new Nodes(addressesAt(server.port, 'n1', 'n2', 'n3'))
    const warned: string[] = []
    const warn = (message: string): void => void warned.push(message)
    const spare = nodes.addresses.get('n3')!
    const n3 = await nodes.open('n3', { warn, options: { pingMs: 100 } })
    const heard: string[] = []
    n3.onFrame((from) => heard.push(from))
    const swapped = new Map([...nodes.addresses, ['n2', spare], ['n3', `${spare}-elsewhere`]])
    const n1 = await nodes.open('n1', { addresses: swapped, warn, options: { pingMs: 100 } })
    await counted(n1, { linksMisdirected: 3 })
    await counted(n3, { messagesMisaddressed: 3 })
    n1.send('n2', Uint8Array.of(1))
    expect(n1.counters()).toMatchObject({ droppedUnreachable: 1 })
    expect(heard).toEqual([])
    const subject = subjectOf(nodes.addresses, 'n3')
    expect(warned.toSorted()).toEqual([
      'n1 asked for n2: n3 is there: correct the address of n2 in the config of n1',
      `n3 hears messages for n2 on ${subject}: correct the address of n2 in the config of n1`,
    ])
  })

  test('a node that is not in the config of the other is told so', async () => {
    nodes = new Nodes(addressesAt(server.port, 'n1', 'n2', 'n9'))
    const warned: string[] = []
    const warn = (message: string): void => void warned.push(message)
    const two = new Map([...nodes.addresses].filter(([node]) => node !== 'n9'))
    const n1 = await nodes.open('n1', { addresses: two, warn })
    await nodes.open('n9', { warn })
    await counted(n1, { messagesFromStrangers: 1 })
    await vi.waitFor(() => expect(warned.join('\n')).toMatch(/n9 asked for n1: n1 does not know n9: add n9 to its config/))
    expect(warned.join('\n')).toMatch(/n1 hears from n9, which is not a peer/)
  })

  test('a subject where nobody hears is as a peer that is down, for that direction alone', async () => {
    nodes = new Nodes(addressesAt(server.port, 'n1', 'n2'))
    const wrong = new Map([...nodes.addresses, ['n2', `${nodes.addresses.get('n2')}-wrong`]])
    const n1 = await nodes.open('n1', { addresses: wrong, options: { pingMs: 100 } })
    const n2 = await nodes.open('n2', { options: { pingMs: 100 } })
    await counted(n2, { linksOpened: 1 })
    n1.send('n2', Uint8Array.of(1))
    expect(n1.counters()).toMatchObject({ droppedUnreachable: 1, linksOpened: 0 })
    n2.send('n1', Uint8Array.of(1))
    await counted(n1, { droppedNoListener: 1 })
  })
})

describe('a server that asks who is there', () => {
  test.each([
    [
      { user: 'synod', password: 'secret "quoted"' },
      { user: 'synod', password: 'secret "quoted"' },
    ],
    [{ token: 'a token' }, { token: 'a token' }],
  ])('lets in who knows %j; who does not is told what to correct, and goes on trying', async (credentials, options) => {
    await using asking = await startNats({ credentials })
    nodes = new Nodes(addressesAt(asking.port, 'n1', 'n2'))
    const warned: string[] = []
    const stranger = await nodes.open('n1', { warn: (message) => warned.push(message), options: { ...options, ...wrong(options) } })
    await counted(stranger, { dialsFailed: 3 })
    expect(warned).toEqual([expect.stringMatching(/does not let it in: correct user, password or token in transport.options/)])
    expect(warned[0]).not.toMatch(/secret|a token/)
    const n1 = await nodes.open('n1', { options })
    await nodes.openEcho('n2', { options })
    await echoed(n1, 'n2')
  })

  test('a subject that may not be heard or written is said', async () => {
    const credentials = { user: 'u', password: 'p', subjects: ['synod.ok.>'] }
    await using asking = await startNats({ credentials })
    const options = { user: 'u', password: 'p', pingMs: 100 }
    const addresses = new Map([
      ['n1', `nats://127.0.0.1:${asking.port}/synod.ok.n1`],
      ['n2', `nats://127.0.0.1:${asking.port}/synod.no.n2`],
    ])
    nodes = new Nodes(addresses)
    const warned: string[] = []
    const n1 = await nodes.open('n1', { options, warn: (message) => warned.push(message) })
    await counted(n1, { serverErrors: 2 })
    expect(warned).toEqual([expect.stringMatching(/^n1: NATS at .* says: Permissions Violation for Publish to "synod.no.n2"/)])
    expect(n1.counters()).toMatchObject({ connectionsOpened: 1, connectionsClosed: 0 })
    const n2 = await nodes.open('n2', { options, warn: (message) => warned.push(message) })
    await counted(n2, { connectionsClosed: 2 })
    expect(warned.join('\n')).toMatch(/n2 may not hear on synod.no.n2 \(.*\): grant it on the NATS server/)
  })
})

function wrong(options: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(options).map(([name]) => [name, 'wrong']))
}
