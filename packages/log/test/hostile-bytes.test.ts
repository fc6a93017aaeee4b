// What is stored of the log, spoiled: the decoders are reached directly, for a store that is damaged in every way would take hours.
import { ByteWriter, MalformedError, type Bytes } from '@synod/codec'
import { fuzzDecoder } from '@synod/codec/fuzz'
import { decodeEntry, encodeEntry, LogError, noopEntry } from '@synod/log'
import { expect, test } from 'vitest'
import { LogState } from '../src/log-state.ts'

const limits = { sessionsMax: 100, sessionAnswersMax: 10, answersMax: 1000 }
const outputs = {
  encode: (output: string) => new ByteWriter().string(output).finish(),
  decode: (bytes: Bytes) => new TextDecoder().decode(bytes),
}

test('150,000 hostile entries are refused or are entries, and leave no memory in use', () => {
  const command = (blobs: number) => ({
    version: 1,
    session: 7,
    sequence: 9,
    floor: 3,
    principal: 'p',
    body: new Uint8Array(20),
    blobs: Array.from({ length: blobs }, () => new Uint8Array(30)),
  })
  const entries = [1, 3].map((count) => encodeEntry({ kind: 'commands', commands: Array.from({ length: count }, (_, at) => command(at)) }))
  const decode = (bytes: Bytes): void => {
    const entry = decodeEntry(bytes)
    // What decodes is what would have been written, or two nodes could read different things from it.
    if (Buffer.compare(encodeEntry(entry), bytes) !== 0) throw new Error('two encodings of one entry')
  }
  const samples = [noopEntry, ...entries]
  const { accepted, refused, grownBytesMax } = fuzzDecoder({ samples, count: 150_000, seed: 31, decode, memory: process.memoryUsage })
  expect(accepted).toBeGreaterThan(5_000)
  expect(refused).toBeGreaterThan(75_000)
  expect(grownBytesMax).toBeLessThan(100_000_000)
})

test('100,000 hostile saved states, session tables with them, are refused, or are states, or of another build, and leave no memory in use', () => {
  const state = new LogState<string>(limits, outputs)
  state.slot = 12
  for (const id of [3, 5]) {
    state.sessions.open(id)
    for (let sequence = 1; sequence < 5; sequence++)
      state.sessions.record(id, sequence, { slot: 6 + sequence, output: `answer ${sequence}` })
  }
  const samples = [state.encode(), new LogState<string>(limits, outputs).encode()]
  const isRefusal = (error: unknown): boolean => error instanceof MalformedError || error instanceof LogError
  const decode = (bytes: Bytes): unknown => LogState.decode(bytes, limits, outputs)
  const { accepted, refused, grownBytesMax } = fuzzDecoder({
    samples,
    count: 100_000,
    seed: 32,
    decode,
    isRefusal,
    memory: process.memoryUsage,
  })
  expect(accepted).toBeGreaterThan(5_000)
  expect(refused).toBeGreaterThan(50_000)
  expect(grownBytesMax).toBeLessThan(100_000_000)
})
