import { readSideConformance } from '@synod/events/conformance'
import { postgresReadSide } from '@synod/events-postgres'
import { testDatabase } from '@synod/servers'

let schemas = 0
let database: ReturnType<typeof testDatabase> | undefined

readSideConformance('Postgres', async () => {
  // One database for all cases, a schema each: made faster, and it shows that schemas are kept apart.
  database ??= testDatabase()
  const { connectionString } = await database
  const schema = `events_${++schemas}`
  return { create: () => postgresReadSide({ connectionString, schema, readConnectionsMax: 2 }), dispose: async () => {} }
})
