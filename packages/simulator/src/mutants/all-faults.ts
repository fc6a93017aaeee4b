import { faultsOfAdapters } from './faults/adapters.ts'
import { canaries } from './faults/canaries.ts'
import { faultsOfEvents } from './faults/events.ts'
import { faultsOfTheLog } from './faults/log.ts'
import { faultsOfPaxos } from './faults/paxos.ts'
import { faultsOfTheRuntime } from './faults/runtime.ts'
import type { PlantedFault } from './planted-fault.ts'

/** In the order of the layers; without the canaries. */
export const faults: readonly PlantedFault[] = [
  ...faultsOfPaxos,
  ...faultsOfTheRuntime,
  ...faultsOfTheLog,
  ...faultsOfEvents,
  ...faultsOfAdapters,
]

const byName = new Map([...faults, ...canaries].map((fault) => [fault.name, fault]))

/** Throws a RangeError that lists the names. */
export function faultNamed(name: string): PlantedFault {
  const fault = byName.get(name)
  if (fault === undefined) throw new RangeError(`there is no planted fault ${name}: there are ${[...byName.keys()].join(', ')}`)
  return fault
}
