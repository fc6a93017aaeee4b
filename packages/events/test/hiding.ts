import type { EventMachine } from '@synod/events'

interface Hidden {
  readonly belowRevision: number
  readonly throughPosition: number
}

const nothing: Hidden = { belowRevision: 0, throughPosition: 0 }

/** Hides what the test says, in place of retention; more, never less. */
export class Hiding {
  readonly #hidden = new Map<string, Hidden>()
  readonly deleted = new Set<string>()
  readonly tombstoned = new Set<string>()
  hidesNothing = true

  constructor(machine: EventMachine) {
    const visibility: EventMachine['index']['visibility'] = {
      isTombstoned: ({ name }) => this.tombstoned.has(name),
      lastRevision: ({ name, revision }) => (this.deleted.has(name) || this.tombstoned.has(name) ? -1 : revision),
      hiddenIn: ({ name, revision }) => {
        const { belowRevision, throughPosition } = this.of(name)
        return { belowRevision: Math.min(belowRevision, revision + 1), throughPosition }
      },
      hiddenInNamed: async (names) => {
        await Promise.resolve()
        return new Map([...this.#hidden].filter(([name]) => names.has(name)))
      },
      hidesNothing: true,
    }
    Object.defineProperty(visibility, 'hidesNothing', { get: () => this.hidesNothing })
    Object.assign(machine.index, { visibility })
  }

  of(stream: string): Hidden {
    return this.#hidden.get(stream) ?? nothing
  }

  hide(stream: string, more: Partial<Hidden>): void {
    const before = this.of(stream)
    this.hidesNothing = false
    this.#hidden.set(stream, {
      belowRevision: Math.max(before.belowRevision, more.belowRevision ?? 0),
      throughPosition: Math.max(before.throughPosition, more.throughPosition ?? 0),
    })
  }

  shows({ stream, revision, position }: { readonly stream: string; readonly revision: number; readonly position: number }): boolean {
    const { belowRevision, throughPosition } = this.of(stream)
    return revision >= belowRevision && position > throughPosition
  }
}
