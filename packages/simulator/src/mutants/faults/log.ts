/** Faults of the log above the protocols: sessions, identities, reads, frames between nodes. */
import type { PlantedFault } from '../planted-fault.ts'

const folder = 'packages/log'
const applier = `${folder}/src/applier.ts`
const network = `${folder}/src/peer-network.ts`
const proposals = `${folder}/src/proposals.ts`
const virtualLog = `${folder}/src/virtual-log.ts`

export const faultsOfTheLog: readonly PlantedFault[] = [
  {
    name: 'stale-read',
    breaks: 'a linearizable read waits for a barrier',
    patches: [{ file: virtualLog, find: 'const slot = await this.#reads.read(signal)', replace: 'const { slot } = this.#state' }],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 200 },
      { by: 'seeds', mode: 'multi', seedsMax: 200 },
    ],
  },
  {
    name: 'read-does-not-wait',
    breaks: 'a read is answered when what the barrier names is applied here',
    patches: [{ file: virtualLog, find: 'await this.#waiters.reached(slot, signal)', replace: '' }],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 200 },
      { by: 'seeds', mode: 'multi', seedsMax: 200 },
    ],
  },
  {
    name: 'read-joins-an-older-barrier',
    breaks: 'a barrier counts for the reads that came before it was asked for',
    patches: [
      {
        file: `${folder}/src/reads.ts`,
        find: 'for (const read of reads) read.resolve(index)',
        replace: 'for (const read of [...reads, ...this.#arrived.splice(0)]) read.resolve(index)',
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 600 },
      { by: 'seeds', mode: 'multi', seedsMax: 600 },
    ],
  },
  {
    name: 'repetition-executed',
    breaks: '(session, sequence) is executed at most once (bug 16)',
    patches: [{ file: applier, find: "if (verdict.kind === 'answered') return { fate: 'answered', ...verdict.answer }", replace: '' }],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'offered-again-as-another-command',
    breaks: 'a command that is offered again keeps its identity (bug 16)',
    patches: [
      {
        file: proposals,
        find: 'this.#queue = [...open, ...this.#queue]',
        replace: `for (const proposal of open) {
        this.#waiting.delete(proposal)
        Object.assign(proposal, { command: { ...proposal.command, sequence: proposal.command.sequence + 1_000 } })
        this.#waiting.add(proposal)
      }
      this.#queue = [...open, ...this.#queue]`,
      },
    ],
    killers: [{ by: 'test', folder, file: 'virtual-log.test.ts', test: 'offers again what was' }],
  },
  {
    name: 'unknown-session-executed',
    breaks: 'a command of a session that was forgotten is refused, for it may have been executed (bug 17)',
    patches: [
      {
        file: applier,
        find: "if (verdict.kind === 'expired') return { fate: 'unknown', why: 'sessionExpired' }",
        replace: "if (verdict.kind === 'expired') return { fate: 'answered', slot, output: apply(command, index) }",
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'session-table-not-replicated',
    breaks: 'the session table is the same at every node, restarted or not',
    patches: [
      { file: `${folder}/src/log-state.ts`, find: 'state.sessions.decode(reader,', replace: 'new SessionTable<O>(limits).decode(reader,' },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'answer-of-another-session',
    breaks: 'a command is known by session and sequence, not by sequence alone',
    patches: [
      {
        file: 'packages/log/src/waiting-proposals.ts',
        find: 'this.#sessions.get(session)?.get(sequence)',
        replace: '[...this.#sessions.values()].map((sequences) => sequences.get(sequence)).find((found) => found !== undefined)',
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'never-said-of-what-was-sent',
    breaks: '`never` is said only of what has left nowhere',
    patches: [
      {
        file: proposals,
        find: "proposal.sent ? { fate: 'unknown', why: 'timeout' } : { fate: 'never', why: 'notServing' }",
        replace: "{ fate: 'never', why: 'notServing' }",
      },
    ],
    killers: [{ by: 'test', folder, file: 'virtual-log.test.ts', test: 'says never only while the command has left nowhere' }],
  },
  {
    name: 'applied-out-of-order',
    breaks: 'slots are applied in order',
    patches: [
      {
        file: applier,
        find: 'of slots) this.#applySlot(decided, entry)',
        replace: 'of slots.toReversed()) this.#applySlot(decided, entry)',
      },
      { file: applier, find: 'if (slot !== state.slot + 1) throw new Error(`slot ${slot} came after slot ${state.slot}`)', replace: '' },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'saved-state-ahead-of-the-machine',
    breaks: 'the saved state of the log counts only when the machine has flushed as much',
    patches: [
      {
        file: applier,
        find: 'if (state !== undefined && state.slot <= flushed) return state',
        replace: 'if (state !== undefined) return state',
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'wiped-node-votes',
    breaks: 'a store that lost everything takes no part (bug 7)',
    patches: [
      {
        file: 'packages/simulator/src/world/sim-node.ts',
        find: `this.#isWiped = true
    this.disk.wipe()
    this.readDisk.wipe()`,
        replace: `this.disk.wipe()
    this.readDisk.wipe()
    this.found(this.#around.genesisOf(this.id))`,
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 200 },
      { by: 'seeds', mode: 'multi', seedsMax: 200 },
    ],
  },
  {
    name: 'cluster-unchecked',
    breaks: 'a frame of another cluster is dropped',
    patches: [{ file: network, find: "if (!bytesEqual(reader.raw(16), this.#cluster)) return 'cluster'", replace: 'reader.raw(16)' }],
    killers: [{ by: 'test', folder, file: 'peer-network.test.ts', test: 'are dropped and counted when of another cluster' }],
  },
  {
    name: 'epoch-unchecked',
    breaks: 'a frame of another epoch is dropped',
    patches: [{ file: network, find: "if (reader.u32() !== this.#options.configuration.epoch) return 'epoch'", replace: 'reader.u32()' }],
    killers: [{ by: 'test', folder, file: 'peer-network.test.ts', test: 'are dropped and counted when of another epoch' }],
  },
  {
    name: 'incarnation-unchecked',
    breaks: 'a frame of another life of a member’s storage is dropped (bug 7)',
    patches: [
      { file: network, find: "if (peer === undefined || !bytesEqual(incarnation, peer.incarnation)) return 'stranger'", replace: '' },
    ],
    killers: [{ by: 'test', folder, file: 'peer-network.test.ts', test: 'are dropped and counted when of a wiped node' }],
  },
  {
    name: 'boot-unchecked',
    breaks: 'a frame of an earlier opening of the sender’s store is dropped',
    patches: [
      { file: network, find: 'if (boot < peer.boot) {', replace: 'if (boot < 0) {' },
      { file: network, find: '} else if (nonce !== peer.nonce) {', replace: '} else if (boot === peer.boot && nonce !== peer.nonce) {' },
    ],
    killers: [{ by: 'test', folder, file: 'peer-network.test.ts', test: 'are dropped when they come from an earlier opening' }],
  },
  {
    name: 'doppelganger-unnoticed',
    breaks: 'two processes that speak for one node are noticed',
    patches: [{ file: network, find: '} else if (nonce !== peer.nonce) {', replace: '} else if (false) {' }],
    killers: [{ by: 'test', folder, file: 'peer-network.test.ts', test: 'tells a node that two processes speak for it' }],
  },
]
