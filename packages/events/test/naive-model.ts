import type { Expected } from '@synod/events'

export interface ModelEvent {
  readonly id: number
  readonly stream: string
  readonly revision: number
  readonly position: number
}

export interface ModelRequest {
  readonly stream: string
  readonly ids: readonly number[]
  readonly expected: Expected
  readonly key?: string
}

export type ModelAnswer = { readonly revision: number; readonly position: number } | { readonly code: string }

/** The semantics of an append in the plainest words: lists that are searched from end to end. */
export class NaiveModel {
  readonly events: ModelEvent[] = []
  readonly #keys: { readonly key: string; readonly request: string; readonly answer: ModelAnswer }[] = []
  readonly #idWindow: number
  readonly #keysMax: number

  constructor(idWindow: number, keysMax: number) {
    this.#idWindow = idWindow
    this.#keysMax = keysMax
  }

  stream(name: string): readonly ModelEvent[] {
    return this.events.filter(({ stream }) => stream === name)
  }

  append(request: ModelRequest): ModelAnswer {
    const { key, ids } = request
    if (new Set(ids).size < ids.length) return { code: 'invalid_argument' }
    if (key === undefined) return this.#append(request)
    const text = JSON.stringify(request)
    const known = this.#keys.find((entry) => entry.key === key)
    if (known !== undefined) return known.request === text ? known.answer : { code: 'idempotency_key_reused' }
    const answer = this.#append(request)
    this.#keys.push({ key, request: text, answer })
    if (this.#keys.length > this.#keysMax) this.#keys.shift()
    return answer
  }

  #append({ stream, ids, expected }: ModelRequest): ModelAnswer {
    const recognised = this.events.filter(({ position }) => position > this.events.length - this.#idWindow)
    const found = ids.map((id) => recognised.find((event) => event.id === id))
    if (found.some((event) => event !== undefined)) {
      const inOrder = found.every(
        (event, at) =>
          event !== undefined && event.stream === stream && (at === 0 || event.revision > (found[at - 1]?.revision ?? Infinity)),
      )
      const last = found.at(-1)
      return inOrder && last !== undefined ? { revision: last.revision, position: last.position } : { code: 'event_id_conflict' }
    }
    const length = this.stream(stream).length
    const isAsExpected =
      expected === 'any' || (expected === 'noStream' ? length === 0 : expected === 'streamExists' ? length > 0 : length - 1 === expected)
    if (!isAsExpected) return { code: 'wrong_expected_revision' }
    for (const id of ids) this.events.push({ id, stream, revision: this.stream(stream).length, position: this.events.length + 1 })
    return { revision: this.stream(stream).length - 1, position: this.events.length }
  }
}
