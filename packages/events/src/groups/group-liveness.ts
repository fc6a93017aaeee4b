/**
 * Whether the nodes that have consumers live. Each proposes a heartbeat every few seconds while it has some. A node that has applied
 * none of another's for `groupMemberSilenceMs` of its own monotonic clock proposes that it has expired, and names the last one that
 * it knows; the machine refuses that when another was decided since. So a slow clock, or a node that is behind, expires
 * nobody who lives, and no clock decides.
 *
 * What a node was in an earlier life is dead for certain: it says so at once when it is back.
 *
 * A node whose own heartbeats find no answer tells its consumers, which can go elsewhere.
 */
import type { Scheduler } from '@synod/transport'
import type { EventLimits } from '../event-limits.ts'
import type { GroupCommand } from './group-command.ts'
import type { GroupsView } from './group-part.ts'

export interface GroupLivenessOptions {
  readonly instance: string
  /** The node's name, the same in every life; empty: it has none. */
  readonly node: string
  readonly groups: GroupsView
  readonly scheduler: Scheduler
  readonly limits: Pick<EventLimits, 'groupHeartbeatMs' | 'groupMemberSilenceMs'>
  /** Rejects when nobody knows what came of it. */
  readonly propose: (command: GroupCommand) => Promise<unknown>
  /** No heartbeat of this node was decided for too long. */
  readonly onSilent: () => void
  /** With every look at the others, while there are consumers anywhere. */
  readonly onLook: (now: number) => void
}

export class GroupLiveness {
  readonly #options: GroupLivenessOptions
  /** The last heartbeat known of each instance, and when it was first seen to be the last. */
  readonly #heard = new Map<string, { readonly seen: number; readonly at: number }>()
  readonly #stopListening: () => void
  #isBeating = false
  #beatenAt: number | undefined
  #cancelTimer: (() => void) | undefined
  #isStopped = false

  constructor(options: GroupLivenessOptions) {
    this.#options = options
    this.#stopListening = options.groups.listen(() => this.#arm())
    if (options.groups.instances().size > 0) options.scheduler.defer(() => this.#expireOthers())
    this.#arm()
  }

  stop(): void {
    this.#isStopped = true
    this.#stopListening()
    this.#cancelTimer?.()
  }

  /** A store without consumers anywhere has no timer. */
  #arm(): void {
    const { scheduler, groups, limits } = this.#options
    if (this.#isStopped || this.#cancelTimer !== undefined || groups.instances().size === 0) return
    this.#cancelTimer = scheduler.at(scheduler.now() + limits.groupHeartbeatMs, () => {
      this.#cancelTimer = undefined
      this.#beat()
      this.#expireOthers()
      this.#arm()
    })
  }

  #beat(): void {
    const { instance, groups, scheduler, limits, onSilent } = this.#options
    if (!groups.instances().has(instance)) {
      this.#beatenAt = undefined
      return
    }
    const now = scheduler.now()
    this.#beatenAt ??= now
    if (now - this.#beatenAt > limits.groupMemberSilenceMs) {
      this.#beatenAt = now
      onSilent()
    }
    if (!this.#isBeating) void this.#propose()
  }

  async #propose(): Promise<void> {
    const { instance, propose, scheduler } = this.#options
    this.#isBeating = true
    try {
      await propose({ form: 'heartbeat', instance })
      this.#beatenAt = scheduler.now()
    } catch {
      // The next one is due soon, and a long silence is told above.
    } finally {
      this.#isBeating = false
    }
  }

  #expireOthers(): void {
    if (this.#isStopped) return
    const { instance: self, node: ownNode, groups, scheduler, limits, propose, onLook } = this.#options
    const now = scheduler.now()
    onLook(now)
    const instances = groups.instances()
    for (const instance of this.#heard.keys()) if (!instances.has(instance)) this.#heard.delete(instance)
    for (const [instance, { seen, node }] of instances) {
      const heard = this.#heard.get(instance)
      const wasThisNode = node !== '' && node === ownNode
      if (heard?.seen !== seen) this.#heard.set(instance, { seen, at: now })
      if (instance === self) continue
      const isSilent = heard?.seen === seen && now - heard.at >= limits.groupMemberSilenceMs
      if (isSilent || wasThisNode) {
        this.#heard.set(instance, { seen, at: now })
        // Without an answer it is proposed again after another silence; so do the other nodes.
        void propose({ form: 'expire', instance, seen }).catch(() => {})
      }
    }
  }
}
