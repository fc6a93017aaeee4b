import { logStoreConformance } from '@synod/log/conformance'
import { postgresLogStore } from '@synod/log-postgres'
import { testDatabase } from '@synod/servers'

let database: ReturnType<typeof testDatabase> | undefined
let disks = 0

logStoreConformance({
  name: 'Postgres',
  create: async (pieceBytes) => {
    // One database for all cases, a schema each: made faster, and it shows that schemas are kept apart.
    database ??= testDatabase()
    const { connectionString } = await database
    const schema = `log_${++disks}`
    return {
      store: () => postgresLogStore({ connectionString, schema, ...(pieceBytes !== undefined && { pieceBytes }) }),
      dispose: async () => {},
    }
  },
})
