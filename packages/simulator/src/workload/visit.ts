/** A reader's connection to one life of a node. It ends with the life, when the reader leaves, or when there is nothing more to read. */
import type { Life } from '../world/life.ts'
import type { World } from '../world/world.ts'
import { codeOf } from './request.ts'

export interface Visit {
  /** Aborted when the reader has left. */
  readonly signal: AbortSignal
  readonly isOpen: () => boolean
  readonly leave: () => void
}

export interface VisitOptions {
  readonly world: World
  readonly life: Life
  /** Codes of errors that a node may end it with. */
  readonly expected: readonly string[]
  readonly onOther: (error: unknown) => void
}

/** What `begin` gives reads, in the life of the node. Resolves when the visit has ended. */
export function visit({ world, life, expected, onOther }: VisitOptions, begin: (visit: Visit) => () => Promise<void>): Promise<void> {
  return new Promise<void>((resolve) => {
    const aborting = new AbortController()
    let isOpen = true
    const leave = (): void => {
      if (!isOpen) return
      isOpen = false
      forget()
      world.defer(() => aborting.abort(), life)
      resolve()
    }
    const forget = life.onDeath(leave)
    const read = begin({ signal: aborting.signal, isOpen: () => isOpen, leave })
    world.defer(() => {
      read().then(leave, (error: unknown) => {
        if (!expected.includes(codeOf(error))) onOther(error)
        leave()
      })
    }, life)
  })
}
