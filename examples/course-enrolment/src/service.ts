import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect } from '@synod/client'
import { Catalogue } from './catalogue.ts'
import type { CourseEvent } from './course-event.ts'
import { httpService } from './http-service.ts'

export interface ServiceOptions {
  /** Of Synod: any one is enough. */
  readonly nodes: readonly string[]
  /** Where the catalogue keeps its view and its checkpoint. */
  readonly checkpointFile: string
  /** On 127.0.0.1; 0 is a free one. */
  readonly port: number
  /** The catalogue cannot go on: end the process and start it again. */
  readonly onFailure: (error: unknown) => void
}

export interface Service {
  readonly url: string
  readonly catalogue: Catalogue
  stop(): Promise<void>
}

/** Settles when the service takes requests, its catalogue complete. */
export async function startService({ nodes, checkpointFile, port, onFailure }: ServiceOptions): Promise<Service> {
  const client = connect<CourseEvent>({ nodes })
  try {
    const catalogue = await Catalogue.start(client, checkpointFile, onFailure)
    const server = httpService(client, catalogue).listen(port, '127.0.0.1')
    await once(server, 'listening')
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      catalogue,
      async stop() {
        server.close()
        server.closeIdleConnections()
        await once(server, 'close')
        await catalogue.stop()
        await client.close()
      },
    }
  } catch (error) {
    await client.close()
    throw error
  }
}
