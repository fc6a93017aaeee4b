import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql'
import { temporaryPostgres } from '@synod/servers'
import { eventBody } from './event-body.ts'
import { streamsCount, type RunningStore } from './target.ts'

/** Emmett as it comes (its pool has ten connections; more made it no faster) on one Postgres with the settings of a Synod node's. */
export async function startEmmett(): Promise<RunningStore> {
  const server = await temporaryPostgres()
  const store = getPostgreSQLEventStore(server.connectionString)
  const close = async (): Promise<void> => {
    await store.close()
    await server.remove()
  }
  try {
    await store.schema.migrate()
  } catch (error) {
    await close()
    throw error
  }
  const events = [{ type: 'Measured' as const, data: eventBody() }]
  return {
    targets: [
      {
        key: 'emmett',
        name: 'Emmett',
        durable: 'one fsync, not replicated',
        client: 'version 0.42 on one Postgres 18; appendToStream over a pool of 10 connections (emmett-postgresql, pg)',
        pids: [server.pid],
        prepare: () => Promise.resolve(),
        async append(turn) {
          await store.appendToStream(`bench-${turn % streamsCount}`, events)
        },
      },
    ],
    close,
  }
}
