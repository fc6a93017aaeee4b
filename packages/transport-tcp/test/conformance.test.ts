import { transport } from '@synod/transport-tcp'
import { transportConformance, type TransportConformance } from '@synod/transport/conformance'
import { Faults, faultyFactory } from '@synod/transport/memory'
import { freeAddresses } from './free-addresses.ts'

const queueBytesMax = 8 * 1024 * 1024

const tcp: TransportConformance = {
  name: 'tcp',
  create: async (members) => {
    const [spareAddress, ...addresses] = await freeAddresses(members.length + 1)
    return {
      factory: transport,
      addresses: new Map(members.map((member, at) => [member, addresses[at]!])),
      spareAddress: spareAddress!,
      options: { queueBytesMax },
    }
  },
  queueBytesMax,
  exclusiveAddresses: true,
  invalidOptions: [
    { frameBytesMax: 0 },
    { frameBytesMax: '4 MiB' },
    { frameBytesMax: 2 ** 20, queueBytesMax: 2 ** 20 },
    { pingMs: 1.5 },
    { pingMs: -1 },
    { strangersMax: Number.NaN },
    { hostname: 'here' },
    { __proto__: null, constructor: 1 },
    7,
    'fast',
    null,
    [],
  ],
}

transportConformance(tcp)

transportConformance({
  ...tcp,
  name: 'tcp behind a decorator without faults',
  create: async (members) => {
    const world = await tcp.create(members)
    return { ...world, factory: faultyFactory(world.factory, { faults: new Faults() }) }
  },
})
