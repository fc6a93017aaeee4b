/**
 * A client's request to a node and the answer, over a network that may lose either. A connection to a node that dies
 * breaks; a client that waits too long gives up, and tells the node so, sometimes.
 */
import { EventStoreError, type EventStore } from '@synod/events'
import type { Dice } from '../world/dice.ts'
import type { SimNode } from '../world/sim-node.ts'
import type { World } from '../world/world.ts'

export type Reply<T> =
  /** `session` names the life that answered. */
  | { readonly kind: 'answer'; readonly value: T; readonly session: string }
  | { readonly kind: 'error'; readonly error: unknown; readonly session: string }
  /** No answer: refused, broken, or too late. */
  | { readonly kind: 'none' }

export interface RequestOptions {
  readonly world: World
  readonly dice: Dice
  readonly node: SimNode
  readonly withinMs: number
  readonly lossRate: number
}

const wayMsMean = 1

/** What a node may end a request with at any time: nothing follows from it. */
export const temporaryCodes: readonly string[] = ['unavailable', 'busy', 'aborted']

/** Empty for what is no error of the store. */
export function codeOf(error: unknown): string {
  return error instanceof EventStoreError ? error.code : ''
}

export function isTemporary(error: unknown): boolean {
  return temporaryCodes.includes(codeOf(error))
}

export function request<T>(options: RequestOptions, work: (events: EventStore, signal: AbortSignal) => Promise<T>): Promise<Reply<T>> {
  const { world, dice, node, withinMs, lossRate } = options
  const isLost = dice.chance(lossRate)
  const isAnswerLost = dice.chance(lossRate)
  const tellsAbort = dice.chance(0.7)
  const thereMs = dice.exponential(wayMsMean)
  const backMs = dice.exponential(wayMsMean)
  return new Promise((resolve) => {
    const aborting = new AbortController()
    let forget = (): void => {}
    const settle = (reply: Reply<T>): void => {
      cancel()
      forget()
      resolve(reply)
    }
    const cancel = world.after(withinMs, () => {
      const { life } = node
      if (tellsAbort && life !== undefined) world.after(thereMs, () => aborting.abort(), life)
      settle({ kind: 'none' })
    })
    if (isLost) return
    world.after(thereMs, () => {
      const { serving } = node
      const { events, life } = serving ?? {}
      const none = (): void => void world.after(backMs, () => settle({ kind: 'none' }))
      if (events === undefined || life === undefined) return none()
      forget = life.onDeath(none)
      const back = (reply: Reply<T>): void => {
        if (!life.isAlive || isAnswerLost) return
        forget()
        world.after(backMs, () => settle(reply))
      }
      world.defer(() => {
        work(events, aborting.signal).then(
          (value) => back({ kind: 'answer', value, session: life.name }),
          (error: unknown) => back({ kind: 'error', error, session: life.name }),
        )
      }, life)
    })
  })
}
