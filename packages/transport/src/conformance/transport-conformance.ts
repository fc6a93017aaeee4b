/**
 * What every Transport must do, whatever carries the frames. Frames may be lost, doubled and reordered, so nothing here
 * assumes an order, and a frame that must arrive is sent again until it does; but on a healthy link nearly all arrive,
 * none is altered, and none is invented.
 *
 * Call it in a test file of the implementation: `transportConformance({ name: 'tcp', create, … })`. It imports the port
 * and vitest, nothing else.
 */
import { describe } from 'vitest'
import { absenceCases } from './absence.ts'
import { closingCases } from './closing.ts'
import { deliveryCases } from './delivery.ts'
import { addressCases, refusalCases } from './refusals.ts'
import type { TransportConformance } from './transport-world.ts'

export function transportConformance(subject: TransportConformance): void {
  describe(`${subject.name} is a transport`, () => {
    deliveryCases(subject)
    absenceCases(subject)
    refusalCases(subject)
    addressCases(subject)
    closingCases(subject)
  })
}
