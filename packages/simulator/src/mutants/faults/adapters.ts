/** Faults of the codec and of the adapters to Postgres and TCP: named tests against real servers and sockets. */
import type { PlantedFault } from '../planted-fault.ts'

const postgres = 'packages/log-postgres'
const tcp = 'packages/transport-tcp'
const codec = 'packages/codec'

export const faultsOfAdapters: readonly PlantedFault[] = [
  {
    name: 'acknowledge-before-commit',
    breaks: 'a write is acknowledged when its COMMIT has returned',
    patches: [{ file: `${postgres}/src/fenced-writer.ts`, find: 'await this.#commit(group)', replace: 'void this.#commit(group)' }],
    killers: [{ by: 'test', folder: postgres, file: 'unknown-commit.test.ts', test: 'a server that is killed for good' }],
  },
  {
    name: 'unknown-commit-taken-for-failed',
    breaks: 'a COMMIT whose answer was lost is looked up before it is judged',
    patches: [
      { file: `${postgres}/src/fenced-writer.ts`, find: 'this.#counters.unknown_commits++\n      return false', replace: 'throw error' },
    ],
    killers: [{ by: 'test', folder: postgres, file: 'unknown-commit.test.ts', test: 'was committed: it is acknowledged' }],
  },
  {
    name: 'unknown-commit-written-again',
    breaks: 'a write that happened is not done again',
    patches: [
      {
        file: `${postgres}/src/fenced-writer.ts`,
        find: 'if (found.sequence === this.#sequence + 1) {',
        replace: 'if (found.sequence < 0) {',
      },
    ],
    killers: [{ by: 'test', folder: postgres, file: 'unknown-commit.test.ts', test: 'was committed: it is acknowledged' }],
  },
  {
    name: 'synchronous-commit-off',
    breaks: 'COMMIT waits for the disk, whatever the session was told',
    patches: [
      {
        file: `${postgres}/src/write-statement.ts`,
        find: "set_config('synchronous_commit', 'on', true) = 'on'",
        replace: "current_setting('synchronous_commit') <> ''",
      },
    ],
    killers: [{ by: 'test', folder: postgres, file: 'refusals.test.ts', test: 'a session that is told otherwise' }],
  },
  {
    name: 'unsafe-settings-accepted',
    breaks: 'a Postgres that may lose what it acknowledges is refused',
    patches: [{ file: `${postgres}/src/safe-settings.ts`, find: 'spoken(value) === rule.value', replace: 'value === rule.danger' }],
    killers: [{ by: 'test', folder: postgres, file: 'refusals.test.ts', test: 'synchronous_commit off in the connection string' }],
  },
  {
    name: 'checksum-ignored',
    breaks: 'a damaged row is never served',
    patches: [
      {
        file: `${postgres}/src/slot-reader.ts`,
        find: 'if (slotChecksum(epoch, index, header, entry) !== checksum) {',
        replace: 'if (checksum === undefined) {',
      },
    ],
    killers: [{ by: 'test', folder: postgres, file: 'refusals.test.ts', test: 'damage' }],
  },
  {
    name: 'fence-ignored',
    breaks: 'one process owns a store',
    patches: [
      {
        file: `${postgres}/src/write-statement.ts`,
        find: 'where id and boot = $1::bigint and',
        replace: 'where id and $1::bigint > 0 and',
      },
    ],
    killers: [{ by: 'test', folder: postgres, file: 'postgres-log-store.test.ts', test: 'a second opening fences the first' }],
  },
  {
    name: 'count-believed',
    breaks: 'a decoder believes a count as far as the bytes that follow',
    patches: [{ file: `${codec}/src/byte-reader.ts`, find: 'if (count * itemBytesMin > this.remaining)', replace: 'if (count < 0)' }],
    killers: [{ by: 'test', folder: codec, file: 'byte-round-trip.test.ts', test: 'a count is believed only' }],
  },
  {
    name: 'frame-length-believed',
    breaks: 'a frame longer than frameBytesMax closes the link',
    patches: [{ file: `${tcp}/src/frame-parser.ts`, find: 'if (length > this.#frameBytesMax)', replace: 'if (length < 0)' }],
    killers: [{ by: 'test', folder: tcp, file: 'strangers.test.ts', test: 'a length above frameBytesMax' }],
  },
  {
    name: 'unbounded-send-queue',
    breaks: 'what waits for a peer is bounded',
    patches: [
      {
        file: `${tcp}/src/outgoing-link.ts`,
        find: 'if (waiting + FrameBatch.sizeOf(frame) > options.queueBytesMax) {',
        replace: 'if (waiting < 0) {',
      },
    ],
    killers: [{ by: 'test', folder: tcp, file: 'conformance.test.ts', test: 'what waits for one peer is bounded' }],
  },
]
