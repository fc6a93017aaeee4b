/**
 * The proposer of Multi-Paxos, while it leads. First it finishes what phase 1 reported: decided slots are fetched, the
 * others up to the highest reported are chosen again under its own ballot (highest accepted value, else a no-op). Reads
 * wait for that; new offers go above it at once. It leads only while a phase-2 quorum answers its heartbeats and its own
 * disk makes progress.
 */
import { bytesEqual, type Bytes } from '@synod/codec'
import type { Index } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { ballotText, sameBallot, type Ballot } from './ballot.ts'
import type { Core } from './core.ts'
import { invariant } from './invariant.ts'
import type { PaxosMessage, ProposedSlot, ReportedSlot } from './messages.ts'
import type { Origin } from './read-rounds.ts'

interface Proposal {
  readonly entry: Bytes
  readonly votes: Set<NodeId>
  /** Who wants to know; none for what was chosen again. */
  readonly origin: Origin | undefined
  sentAt: number
  waitMs: number
}

export interface LeaderState {
  readonly ballot: Ballot
  /** Undecided, ascending. */
  proposals: Map<Index, Proposal>
  proposedBytes: number
  nextIndex: Index
  /** Proposals from here on were not sent yet. */
  unsentFrom: Index
  sentBytes: number
  /** Up to here a promise said "decided": fetched, not proposed. */
  readonly recoveredThrough: Index
  /** No read below this: everything that phase 1 reported. */
  readonly readFloor: Index
  progress: { decidedThrough: Index; at: number }
  /** When the newest heartbeat was *sent* that a follower answered, and how far it was. */
  followers: Map<NodeId, { heardAt: number; decidedThrough: Index }>
  /** First sequence sent at a time, ascending: dates the answers. */
  beats: { sequence: number; at: number }[]
  heartbeatAt: number
  commitSent: Index
  /** Offers are refused; at this time at the latest another node is asked to take over. */
  handOverAt: number | undefined
}

const drainMs = 300

export class Leader {
  readonly #core: Core
  readonly #held: { leading: LeaderState | undefined }
  readonly #stepDown: (why: string) => void

  constructor(core: Core, held: { leading: LeaderState | undefined }, stepDown: (why: string) => void) {
    this.#core = core
    this.#held = held
    this.#stepDown = stepDown
  }

  /** Phase 1 is complete: how far each promise was, and the best of what they reported above. */
  begin(ballot: Ballot, promised: ReadonlyMap<NodeId, Index>, reported: ReadonlyMap<Index, ReportedSlot>): void {
    const { clock, learner, window, options } = this.#core
    const [peer, furthest] = [...promised].reduce((best, next) => (next[1] > best[1] ? next : best))
    const recoveredThrough = Math.max(window.decidedThrough, furthest)
    const high = Math.max(recoveredThrough, ...reported.keys())
    const { now } = clock
    const leading: LeaderState = {
      ballot,
      proposals: new Map(),
      proposedBytes: 0,
      nextIndex: recoveredThrough + 1,
      unsentFrom: recoveredThrough + 1,
      sentBytes: 0,
      recoveredThrough,
      readFloor: high,
      progress: { decidedThrough: window.decidedThrough, at: now },
      followers: new Map([...promised].map(([node, decidedThrough]) => [node, { heardAt: now, decidedThrough }])),
      beats: [],
      heartbeatAt: now,
      commitSent: 0,
      handOverAt: undefined,
    }
    this.#held.leading = leading
    for (const { index, entry, decided } of reported.values()) if (decided) learner.learn(index, entry, { mustHold: true })
    while (leading.nextIndex <= high) {
      if (window.isDecided(leading.nextIndex)) leading.nextIndex++
      else this.#propose(leading, reported.get(leading.nextIndex)?.entry ?? options.noop, undefined)
    }
    this.#core.outbox.trace('leading', { ballot: ballotText(ballot), recoveredThrough, high })
    if (recoveredThrough > window.decidedThrough) {
      learner.chase(recoveredThrough, peer)
      learner.fetch(recoveredThrough, peer)
    }
    this.#beat(leading, this.#core.reads.next())
    this.#pump(leading)
  }

  /** False: the window is full, or somebody else is about to lead. */
  offer(entry: Bytes, origin: Origin): boolean {
    const { settings, window } = this.#core
    const leading = this.#held.leading
    if (leading === undefined || leading.handOverAt !== undefined) return false
    if (leading.nextIndex > Math.max(window.decidedThrough, leading.recoveredThrough) + settings.windowMax) return false
    if (leading.proposals.size > 0 && leading.proposedBytes + entry.length > settings.windowBytesMax) return false
    this.#propose(leading, entry, origin)
    this.#pump(leading)
    return true
  }

  read(origin: Origin): boolean {
    const { clock, reads, settings } = this.#core
    const leading = this.#held.leading
    return leading !== undefined && leading.handOverAt === undefined && reads.arrive(origin, clock.now + settings.readTimeoutMs)
  }

  onAccepted(from: NodeId, { ballot, indexes }: Extract<PaxosMessage, { kind: 'accepted' }>): void {
    for (const index of indexes) {
      const leading = this.#held.leading
      if (leading === undefined || !sameBallot(leading.ballot, ballot)) return
      const proposal = leading.proposals.get(index)
      if (proposal === undefined) continue
      proposal.votes.add(from)
      if (this.#core.options.quorums.phase2(proposal.votes))
        this.#core.learner.learn(index, proposal.entry, { mustHold: true, chosenAt: ballot })
    }
  }

  onHeartbeatAck(from: NodeId, ack: Extract<PaxosMessage, { kind: 'heartbeatAck' }>): void {
    const leading = this.#held.leading
    if (leading === undefined || !sameBallot(leading.ballot, ack.ballot)) return
    const beat = leading.beats.findLast(({ sequence }) => sequence <= ack.sequence)
    const before = leading.followers.get(from)
    leading.followers.set(from, {
      heardAt: Math.max(before?.heardAt ?? Number.NEGATIVE_INFINITY, beat?.at ?? Number.NEGATIVE_INFINITY),
      decidedThrough: Math.max(before?.decidedThrough ?? 0, ack.decidedThrough),
    })
    this.#core.reads.onAck(from, ack.sequence, 0)
  }

  /** A decision other than the one proposed here can only come from a higher ballot. Nothing may be said under this one any more. */
  onLearned(index: Index, entry: Bytes): void {
    const leading = this.#held.leading
    const proposal = leading?.proposals.get(index)
    if (leading === undefined) return
    if (proposal === undefined) {
      if (index >= leading.nextIndex) this.#stepDown('decided above what was proposed here')
      return
    }
    leading.proposals.delete(index)
    leading.proposedBytes -= proposal.entry.length
    if (index < leading.unsentFrom) leading.sentBytes -= proposal.entry.length
    const isOurs = bytesEqual(proposal.entry, entry)
    if (proposal.origin !== undefined) this.#answerOffer(leading, proposal.origin, isOurs)
    if (!isOurs) this.#stepDown('another value was decided')
  }

  onTick(): void {
    const leading = this.#held.leading
    if (leading === undefined) return
    const { clock, outbox, reads, settings, window, options } = this.#core
    const { now } = clock
    const limitMs = settings.electionTimeoutMs * 2
    for (const origin of reads.expire(now)) this.answerRead(origin, undefined)
    const heard = [...leading.followers].filter(([, { heardAt }]) => now - heardAt <= limitMs).map(([node]) => node)
    if (!options.quorums.phase2(new Set([options.self, ...heard]))) return this.#stepDown('no quorum answers')
    if (outbox.isStalled(limitMs)) return this.#handOver(leading, 'the disk is stuck')
    if (window.decidedThrough > leading.progress.decidedThrough) leading.progress = { decidedThrough: window.decidedThrough, at: now }
    if (window.decidedThrough < leading.recoveredThrough && now - leading.progress.at > limitMs)
      return this.#stepDown('nobody has what was decided')
    if (now - leading.heartbeatAt >= settings.heartbeatMs) this.#beat(leading, reads.begin(options.self, 0) ?? reads.next())
    else if (window.decidedThrough > leading.commitSent) this.#sendCommit(leading)
    this.#retransmit(leading)
  }

  /** The end of a step: sends what may go, answers reads, says what was decided when nothing else will. */
  settle(): void {
    const leading = this.#held.leading
    if (leading === undefined) return
    const { options, reads, window, clock } = this.#core
    this.#pump(leading)
    if (leading.proposals.size === 0 && window.decidedThrough > leading.commitSent) this.#sendCommit(leading)
    for (;;) {
      const sequence = reads.begin(options.self, 0)
      if (sequence !== undefined) this.#beat(leading, sequence)
      const confirmed = window.decidedThrough >= leading.readFloor ? reads.confirmed((nodes) => options.quorums.phase2(nodes)) : undefined
      if (confirmed === undefined) break
      for (const origin of confirmed.origins) this.answerRead(origin, window.decidedThrough)
    }
    if (leading.handOverAt !== undefined && (leading.proposals.size === 0 || clock.now >= leading.handOverAt))
      this.#handOver(leading, 'asked to')
  }

  onStepDown(): void {
    const leading = this.#held.leading
    if (leading !== undefined) leading.handOverAt ??= this.#core.clock.now + drainMs
  }

  /** Whoever waits hears that nothing is known. */
  end(): void {
    const leading = this.#held.leading
    if (leading === undefined) return
    this.#held.leading = undefined
    for (const { origin } of leading.proposals.values()) if (origin !== undefined) this.#answerOffer(leading, origin, false)
    for (const origin of this.#core.reads.expire(Number.POSITIVE_INFINITY)) this.answerRead(origin, undefined)
  }

  answerRead({ node, boot, id }: Origin, index: Index | undefined): void {
    const { outbox, options } = this.#core
    if (node !== options.self) outbox.send([node], { kind: 'readReply', boot, id, ...(index === undefined ? {} : { index }) })
    else outbox.emit(index === undefined ? { kind: 'settle', id, as: 'refused' } : { kind: 'readAt', id, index })
  }

  #answerOffer(leading: LeaderState, { node, boot, id }: Origin, offered: boolean): void {
    const { outbox, options, window } = this.#core
    const said = offered
      ? { offered, ballot: leading.ballot, commit: window.decidedThrough }
      : { offered, ballot: leading.ballot, commit: 0 }
    if (node !== options.self) outbox.send([node], { kind: 'offerReply', boot, id, ...said })
    else outbox.emit({ kind: 'settle', id, as: offered ? 'offered' : 'abandoned' })
  }

  #propose(leading: LeaderState, entry: Bytes, origin: Origin | undefined): void {
    const index = leading.nextIndex++
    invariant(
      !leading.proposals.has(index) && !this.#core.window.isDecided(index),
      () => `index ${index} proposed twice under ${ballotText(leading.ballot)}`,
    )
    leading.proposals.set(index, { entry, votes: new Set(), origin, sentAt: 0, waitMs: this.#core.settings.retransmitMs })
    leading.proposedBytes += entry.length
  }

  /** Sends what was not sent yet, in order, as far as the bytes under way allow. */
  #pump(leading: LeaderState): void {
    const { settings, clock, options } = this.#core
    let slots: ProposedSlot[] = []
    let bytes = 0
    const flush = (): void => {
      if (slots.length > 0) this.#sendAccept(leading, options.members, slots)
      slots = []
      bytes = 0
    }
    for (; leading.unsentFrom < leading.nextIndex; leading.unsentFrom++) {
      const proposal = leading.proposals.get(leading.unsentFrom)
      if (proposal === undefined) continue
      const size = proposal.entry.length
      if (leading.sentBytes > 0 && leading.sentBytes + size > settings.windowBytesMax) break
      if (bytes + size > settings.messageBytesMax) flush()
      slots.push({ index: leading.unsentFrom, entry: proposal.entry })
      bytes += size
      leading.sentBytes += size
      proposal.sentAt = clock.now
    }
    flush()
  }

  #retransmit(leading: LeaderState): void {
    const { settings, clock, options, window } = this.#core
    const due = [...leading.proposals].filter(([index, { sentAt, waitMs }]) => index < leading.unsentFrom && clock.now - sentAt >= waitMs)
    if (due.length === 0) return
    const sent = new Set<Proposal>()
    for (const node of options.members) {
      const slots: ProposedSlot[] = []
      let bytes = 0
      for (const [index, proposal] of due) {
        if (proposal.votes.has(node)) continue
        // Its own vote is on the way to the disk, unless there was no room.
        const held = window.get(index)
        if (node === options.self && held !== undefined && sameBallot(held.accepted, leading.ballot)) continue
        if (slots.length > 0 && bytes + proposal.entry.length > settings.messageBytesMax) break
        slots.push({ index, entry: proposal.entry })
        bytes += proposal.entry.length
        sent.add(proposal)
      }
      if (slots.length > 0) this.#sendAccept(leading, [node], slots)
    }
    for (const proposal of sent) {
      proposal.sentAt = clock.now
      proposal.waitMs = Math.min(proposal.waitMs * 2, settings.retransmitMs * 8)
    }
  }

  /** Reveals nothing: no other boot of this node ever uses this ballot. */
  #sendAccept(leading: LeaderState, to: readonly NodeId[], slots: readonly ProposedSlot[]): void {
    const commit = this.#core.window.decidedThrough
    if (to.length > 1) leading.commitSent = commit
    this.#core.outbox.send(to, { kind: 'accept', ballot: leading.ballot, commit, slots })
  }

  #sendCommit(leading: LeaderState): void {
    leading.commitSent = this.#core.window.decidedThrough
    this.#core.outbox.send(this.#core.outbox.others, { kind: 'commit', ballot: leading.ballot, commit: leading.commitSent })
  }

  #beat(leading: LeaderState, sequence: number): void {
    const { clock, outbox, window, settings } = this.#core
    const { now } = clock
    leading.heartbeatAt = now
    leading.commitSent = window.decidedThrough
    if (leading.beats.at(-1)?.at !== now) leading.beats.push({ sequence, at: now })
    leading.beats = leading.beats.filter(({ at }) => now - at <= settings.electionTimeoutMs * 2)
    outbox.send(outbox.others, { kind: 'heartbeat', ballot: leading.ballot, sequence, commit: leading.commitSent })
  }

  /** To the follower that is furthest, among those that answer. */
  #handOver(leading: LeaderState, why: string): void {
    const { clock, outbox, options, settings } = this.#core
    const fit = [...leading.followers].filter(
      ([node, { heardAt }]) => node !== options.self && clock.now - heardAt <= settings.electionTimeoutMs,
    )
    const [next] = fit.toSorted(([, left], [, right]) => right.decidedThrough - left.decidedThrough)
    if (next !== undefined) outbox.send([next[0]], { kind: 'takeOver', ballot: leading.ballot })
    this.#stepDown(why)
  }
}
