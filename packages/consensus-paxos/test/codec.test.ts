import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MalformedError } from '@synod/codec'
import type { PaxosMessage } from '@synod/consensus-paxos'
import { Lab } from './lab.ts'

const members = ['n1', 'n2', 'n3']
const { codec } = new Lab({}, members).node('n1').running

const number = fc.oneof(fc.nat(), fc.maxSafeNat())
const index = number.map((at) => Math.max(1, at))
const ballot = fc.record({ round: index, node: fc.constantFrom(...members), boot: number })
const maybeBallot = fc.oneof(ballot, fc.constant({ round: 0, node: '', boot: 0 }))
const entry = fc.uint8Array({ maxLength: 40 })
const indexes = fc.uniqueArray(index, { maxLength: 6 }).map((all) => all.toSorted((left, right) => left - right))
const proposed = indexes.chain((all) => fc.tuple(...all.map((at) => fc.record({ index: fc.constant(at), entry }))))
const reported = indexes.chain((all) =>
  fc.tuple(
    ...all.map((at) =>
      fc.oneof(
        fc.record({ index: fc.constant(at), ballot, decided: fc.boolean(), entry }),
        fc.record({ index: fc.constant(at), ballot: maybeBallot, decided: fc.constant(true), entry }),
      ),
    ),
  ),
)
const kind = <K extends PaxosMessage['kind']>(name: K): fc.Arbitrary<K> => fc.constant(name)

const message: fc.Arbitrary<PaxosMessage> = fc.oneof(
  fc.record({ kind: kind('prepare'), ballot, scope: fc.constantFrom('suffix' as const, 'slot' as const), index }),
  fc.record({ kind: kind('promise'), ballot, index, decidedThrough: number, slots: reported }),
  fc.record({ kind: kind('accept'), ballot, commit: number, slots: proposed }),
  fc.record({ kind: kind('accepted'), ballot, indexes }),
  fc.record({ kind: kind('nack'), ballot, index: number, promised: ballot }),
  fc.record({ kind: kind('chosen'), ballot, index }),
  fc.record({ kind: kind('decision'), index, entry }),
  fc.record({ kind: kind('ahead'), decidedThrough: number }),
  fc.record({ kind: kind('preVote'), boot: number, nonce: number, decidedThrough: number }),
  fc.record({
    kind: kind('preVoteReply'),
    boot: number,
    nonce: number,
    granted: fc.boolean(),
    promised: maybeBallot,
    decidedThrough: number,
  }),
  fc.record({ kind: kind('heartbeat'), ballot, sequence: number, commit: number }),
  fc.record({ kind: kind('heartbeatAck'), ballot, sequence: number, decidedThrough: number }),
  fc.record({ kind: kind('commit'), ballot, commit: number }),
  fc.record({ kind: kind('offer'), boot: number, id: number, entry }),
  fc.record({ kind: kind('offerReply'), boot: number, id: number, offered: fc.boolean(), ballot: maybeBallot, commit: number }),
  fc.record({ kind: kind('read'), boot: number, id: number }),
  fc.record({ kind: kind('readReply'), boot: number, id: number }),
  fc.record({ kind: kind('readReply'), boot: number, id: number, index: number }),
  fc.record({ kind: kind('takeOver'), ballot }),
  fc.record({ kind: kind('status'), boot: number, sequence: number, decidedThrough: number }),
  fc.record({ kind: kind('statusAck'), boot: number, sequence: number, decidedThrough: number, high: number }),
)

/** Undefined when refused as malformed; whatever else is thrown comes through. */
function decoded(bytes: Uint8Array): PaxosMessage | undefined {
  try {
    return codec.decode(bytes)
  } catch (error) {
    if (error instanceof MalformedError) return undefined
    throw error
  }
}

test('every message comes back as it was', () => {
  fc.assert(
    fc.property(message, (sent) => {
      expect(codec.decode(codec.encode(sent))).toEqual(sent)
    }),
    { numRuns: 2_000 },
  )
})

test('a message that was cut off, or has something behind it, is malformed', () => {
  fc.assert(
    fc.property(message, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (sent, part) => {
      const bytes = codec.encode(sent)
      expect(decoded(bytes.subarray(0, Math.floor(bytes.length * part)))).toBeUndefined()
      expect(decoded(new Uint8Array([...bytes, 0]))).toBeUndefined()
    }),
    { numRuns: 1_000 },
  )
})

test('whatever else decodes is what somebody could have sent', () => {
  const mutated = fc.tuple(message, fc.nat(), fc.nat({ max: 255 })).map(([sent, at, byte]) => {
    const bytes = codec.encode(sent).slice()
    bytes[at % bytes.length] = byte
    return bytes
  })
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      const read = decoded(bytes)
      if (read !== undefined) expect(codec.encode(read)).toEqual(bytes)
    }),
    { numRuns: 5_000 },
  )
})

test('a ballot of a stranger, an index 0 and indexes out of order are malformed', () => {
  const bytes = codec.encode({
    kind: 'accept',
    ballot: { round: 1, node: 'n3', boot: 1 },
    commit: 0,
    slots: [{ index: 2, entry: new Uint8Array(0) }],
  })
  expect(decoded(bytes)).toBeDefined()
  const stranger = bytes.slice()
  stranger[10] = 3
  expect(decoded(stranger)).toBeUndefined()
  expect(decoded(codec.encode({ kind: 'accepted', ballot: { round: 1, node: 'n3', boot: 1 }, indexes: [0] }))).toBeUndefined()
  expect(decoded(codec.encode({ kind: 'accepted', ballot: { round: 1, node: 'n3', boot: 1 }, indexes: [2, 2] }))).toBeUndefined()
  expect(decoded(codec.encode({ kind: 'accepted', ballot: { round: 0, node: '', boot: 0 }, indexes: [2] }))).toBeUndefined()
})
