import { faultsOfAdapters } from './faults/adapters.ts'
import { faultsOfBoundaries } from './faults/boundaries.ts'
import { canaries } from './faults/canaries.ts'
import { faultsOfEvents } from './faults/events.ts'
import { faultsOfGroups } from './faults/groups.ts'
import { faultsOfTheLog } from './faults/log.ts'
import { faultsOfPaxos } from './faults/paxos.ts'
import { faultsOfReading } from './faults/reading.ts'
import { faultsOfRetention } from './faults/retention.ts'
import { faultsOfTheRuntime } from './faults/runtime.ts'
import type { PlantedFault } from './planted-fault.ts'

/** In the order of the layers; without the canaries. */
export const faults: readonly PlantedFault[] = [
  ...faultsOfPaxos,
  ...faultsOfTheRuntime,
  ...faultsOfTheLog,
  ...faultsOfEvents,
  ...faultsOfBoundaries,
  ...faultsOfReading,
  ...faultsOfGroups,
  ...faultsOfRetention,
  ...faultsOfAdapters,
]

const byName = new Map([...faults, ...canaries].map((fault) => [fault.name, fault]))

/** Throws a RangeError that lists the names. */
export function faultNamed(name: string): PlantedFault {
  const fault = byName.get(name)
  if (fault === undefined) throw new RangeError(`there is no planted fault ${name}: there are ${[...byName.keys()].join(', ')}`)
  return fault
}
