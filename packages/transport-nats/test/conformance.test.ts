import { startNats, type NatsServer } from '@synod/servers'
import { transport } from '@synod/transport-nats'
import { transportConformance, type TransportConformance } from '@synod/transport/conformance'
import { Faults, faultyFactory } from '@synod/transport/memory'
import { afterAll, beforeAll } from 'vitest'

let server: NatsServer
beforeAll(async () => void (server = await startNats()), 180_000)
afterAll(() => server?.stop())

/** More than any case sends that is not about this bound: until a busy server confirms, all of it waits. */
const queueBytesMax = 32 * 1024 * 1024
let worlds = 0

const nats: TransportConformance = {
  name: 'nats',
  create: async (members) => {
    const prefix = `nats://${server.host}:${server.port}/synod.world-${++worlds}`
    return {
      factory: transport,
      addresses: new Map(members.map((member) => [member, `${prefix}.${member}`])),
      spareAddress: `${prefix}.spare`,
      options: { queueBytesMax },
    }
  },
  queueBytesMax,
  exclusiveAddresses: false,
  invalidOptions: [
    { frameBytesMax: 0 },
    { frameBytesMax: '4 MiB' },
    { frameBytesMax: 2 ** 20, queueBytesMax: 2 ** 20 },
    { pingMs: 1.5 },
    { dialMsMax: Number.NaN },
    { user: '' },
    { password: 'without a user' },
    { user: 'u', token: 't' },
    { servers: ['localhost'] },
    { __proto__: null, constructor: 1 },
    7,
    'fast',
    null,
    [],
  ],
}

transportConformance(nats)

transportConformance({
  ...nats,
  name: 'nats behind a decorator without faults',
  create: async (members) => {
    const world = await nats.create(members)
    return { ...world, factory: faultyFactory(world.factory, { faults: new Faults() }) }
  },
})
