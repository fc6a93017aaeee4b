import { transportConformance, type TransportConformance } from '@synod/transport/conformance'
import { Faults, faultyFactory, memoryNetwork } from '@synod/transport/memory'

const queueBytesMax = 16 * 1024 * 1024

const memory: TransportConformance = {
  name: 'memory',
  create: async (members) => ({
    factory: memoryNetwork({ queueBytesMax }).factory,
    addresses: new Map(members.map((member) => [member, `the place of ${member}`])),
    spareAddress: 'a place apart',
  }),
  queueBytesMax,
  exclusiveAddresses: true,
  invalidOptions: [{ host: 'n1' }, 7, 'fast', null],
}

transportConformance(memory)

transportConformance({
  ...memory,
  name: 'memory behind a decorator without faults',
  create: async (members) => {
    const world = await memory.create(members)
    return { ...world, factory: faultyFactory(world.factory, { faults: new Faults() }) }
  },
})
