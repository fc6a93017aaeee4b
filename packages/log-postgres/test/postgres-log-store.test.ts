import { logStoreConformance } from '@synod/log/conformance'
import { postgresLogStore } from '@synod/log-postgres'
import { testDatabase } from '@synod/servers'

let databases = 0

logStoreConformance({
  name: 'Postgres',
  create: async () => {
    // One database for all cases, a schema each: made faster, and it shows that schemas are kept apart.
    database ??= testDatabase()
    const { connectionString } = await database
    const schema = `log_${++databases}`
    return { store: () => postgresLogStore({ connectionString, schema }), dispose: async () => {} }
  },
})

let database: ReturnType<typeof testDatabase> | undefined
