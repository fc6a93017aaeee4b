import { ByteReader } from '@synod/codec'
import type { Ballot } from '@synod/consensus-paxos'

/** What the store keeps under `promised`, read without the core's own code. */
export function ballotOf(bytes: Uint8Array, members: readonly string[]): Ballot {
  const reader = new ByteReader(bytes)
  const ballot = { round: reader.u53(), node: members[reader.u16()] ?? 'nobody', boot: reader.u53() }
  reader.end()
  return ballot
}
