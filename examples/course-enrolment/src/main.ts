/** The service as a process: README.md. */
import { startService } from './service.ts'

const {
  SYNOD_NODES = 'http://127.0.0.1:2113,http://127.0.0.1:2114,http://127.0.0.1:2115',
  PORT = '3000',
  CHECKPOINT = 'catalogue.json',
} = process.env

const service = await startService({
  nodes: SYNOD_NODES.split(','),
  checkpointFile: CHECKPOINT,
  port: Number(PORT),
  onFailure(error) {
    console.error(error)
    process.exitCode = 1
    void stop()
  },
})
console.log(`courses at ${service.url}/courses`)

for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => void stop())

async function stop(): Promise<void> {
  await service.stop()
}
