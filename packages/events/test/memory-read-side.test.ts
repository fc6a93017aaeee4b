import { readSideConformance } from '@synod/events/conformance'
import { memoryReadSide, memoryReadSideStorage } from '@synod/events/memory'

readSideConformance('memory', async () => {
  const storage = memoryReadSideStorage()
  return { create: () => memoryReadSide({ storage }), dispose: async () => {} }
})
