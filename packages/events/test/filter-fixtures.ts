/** Events and filters to draw, what a filter means in the plainest words, and a read side that answers at odd moments. */
import fc from 'fast-check'
import type { EventFilter, ReadSide } from '@synod/events'

export interface DrawnEvent {
  readonly stream: string
  readonly type: string
  readonly tags: readonly string[]
}

export interface KnownEvent extends DrawnEvent {
  readonly position: number
  readonly revision: number
}

export const streams = ['a-1', 'a-2', 'ab-1', 'b', 'b-1-2'] as const
const types = ['one', 'two', 'three'] as const
const tags = ['x', 'y', 'z', 'rare'] as const

export const drawnEvent: fc.Arbitrary<DrawnEvent> = fc.record({
  stream: fc.constantFrom(...streams),
  type: fc.constantFrom(...types),
  tags: fc.subarray([...tags, 'x'], { maxLength: 3 }),
})

const item = fc.record(
  { types: fc.subarray([...types, 'none'], { maxLength: 2 }), tags: fc.subarray([...tags, 'none'], { maxLength: 2 }) },
  { requiredKeys: [] },
)

export const drawnFilter: fc.Arbitrary<EventFilter> = fc.record(
  {
    items: fc.array(item, { maxLength: 3 }),
    prefixes: fc.subarray(['a', 'a-', 'ab-1', 'b-1', 'c'], { maxLength: 2 }),
    categories: fc.subarray(['a', 'ab', 'b', 'c'], { maxLength: 2 }),
  },
  { requiredKeys: [] },
)

export function passes({ items = [], prefixes = [], categories = [] }: EventFilter, { stream, type, tags: has }: DrawnEvent): boolean {
  const isOne = items.some(
    (one) => ((one.types ?? []).length === 0 || one.types?.includes(type)) && (one.tags ?? []).every((tag) => has.includes(tag)),
  )
  if (items.length > 0 && !isOne) return false
  if (prefixes.length > 0 && !prefixes.some((prefix) => stream.startsWith(prefix))) return false
  return categories.length === 0 || categories.includes(stream.split('-')[0] ?? '')
}

/** Each answer waits a few turns, or none, as the numbers say, one after the other and again from the first. */
export function oddReadSide(readSide: ReadSide, turns: readonly number[]): ReadSide {
  let next = 0
  return new Proxy(readSide, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      const call = value.bind(target) as (...args: unknown[]) => unknown
      if (!['postingsOf', 'slotsAt', 'slotsHolding', 'streamEvents', 'streamsNumbered', 'flush'].includes(String(name))) return call
      return async (...args: unknown[]) => {
        for (let left = turns[next++ % turns.length] ?? 0; left > 0; left--) await new Promise((resolve) => setImmediate(resolve))
        const answer = await call(...args)
        for (let left = turns[next++ % turns.length] ?? 0; left > 0; left--) await new Promise((resolve) => setImmediate(resolve))
        return answer
      }
    },
  })
}
