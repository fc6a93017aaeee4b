/** Faults of the runtime that hosts a core: quorums, the order of writes and sends, delivery, catch-up. */
import type { PlantedFault } from '../planted-fault.ts'
import { smallMulti } from './bounds.ts'

const folder = 'packages/consensus'
const loglet = `${folder}/src/hosted-loglet.ts`
const delivery = `${folder}/src/delivery.ts`

export const faultsOfTheRuntime: readonly PlantedFault[] = [
  {
    name: 'acknowledge-before-sync',
    breaks: 'durable means that the store has said so',
    patches: [
      {
        file: loglet,
        find: 'const write = this.#options.store.write(operations).then(',
        replace: `this.#options.scheduler.defer(() => {
      if (this.#closed) return
      this.#durableToken = Math.max(this.#durableToken, token)
      this.#step({ kind: 'durable', token })
    })
    const write = this.#options.store.write(operations).then(`,
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 200 },
      { by: 'seeds', mode: 'multi', seedsMax: 200 },
    ],
  },
  {
    name: 'send-before-sync',
    breaks: 'persist, then send (bug 5)',
    patches: [{ file: loglet, find: "effect.reveals === 'nothing' ? 0 : this.#lastToken", replace: '0' }],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 300 },
      { by: 'seeds', mode: 'multi', seedsMax: 300 },
    ],
  },
  {
    name: 'acknowledge-at-a-minority',
    breaks: 'every phase-1 quorum meets every phase-2 quorum',
    patches: [
      {
        file: `${folder}/src/quorums.ts`,
        find: 'return bySize(members, size, size)',
        replace: 'return { ...bySize(members, size, Math.max(1, size - 1)), check: () => {} }',
      },
    ],
    killers: [
      { by: 'explorer', bounds: { ...smallMulti, values: 2, proposers: 3 } },
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'quorums-unchecked',
    breaks: 'quorums that do not meet are refused at the start',
    patches: [{ file: `${folder}/src/quorums.ts`, find: 'if (quorums.phase1(first) && quorums.phase2(rest))', replace: 'if (false)' }],
    killers: [{ by: 'test', folder, file: 'quorums.test.ts', test: 'by size' }],
  },
  {
    name: 'delivered-before-durable-here',
    breaks: 'a slot is delivered when it is durable in the store of the node',
    patches: [
      { file: delivery, find: 'next !== undefined && (this.#tokens.get(next.index) ?? 0) <= durable', replace: 'next !== undefined' },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 300 },
      { by: 'seeds', mode: 'multi', seedsMax: 300 },
    ],
  },
  {
    name: 'reads-what-is-not-decided',
    breaks: 'what is merely accepted is not delivered, so that no reader and no subscriber sees it',
    patches: [
      {
        file: loglet,
        find: 'this.#delivery.onPersist(effect.token, effect.operations)',
        replace: `this.#delivery.onPersist(effect.token, effect.operations)
        for (const operation of effect.operations)
          if (operation.op === 'slot' && operation.entry.length > 0) this.#delivery.onDecide(operation)`,
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'catch-up-serves-the-accepted',
    breaks: 'a peer answers a repair only with what is decided',
    patches: [
      { file: delivery, find: 'const last = Math.min(to, this.#through)', replace: 'const last = to' },
      { file: delivery, find: 'Math.min(last, oldest - 1)', replace: 'next > this.#through ? last : Math.min(last, oldest - 1)' },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 300 },
      { by: 'test', folder, file: 'catch-up.test.ts', test: 'serves what is decided' },
    ],
  },
  {
    name: 'answer-to-another-question',
    breaks: 'an answer of catch-up counts for the range that it names',
    patches: [
      {
        file: `${folder}/src/catch-up.ts`,
        find: 'if (reader.u53() !== expected) return undefined',
        replace: 'reader.u53()',
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 300 },
      { by: 'seeds', mode: 'multi', seedsMax: 300 },
    ],
  },
  {
    name: 'goes-on-after-a-failed-write',
    breaks: 'a node whose write failed stops (bug 6)',
    patches: [
      {
        file: loglet,
        find: '(error: unknown) => this.#fail(error),',
        replace: `() => {
        this.#durableToken = Math.max(this.#durableToken, token)
        this.#step({ kind: 'durable', token })
      },`,
      },
    ],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 100 },
      { by: 'seeds', mode: 'multi', seedsMax: 100 },
    ],
  },
  {
    name: 'timer-on-the-wall-clock',
    breaks: 'time comes from the scheduler',
    patches: [{ file: loglet, find: "kind: 'tick', now: scheduler.now()", replace: "kind: 'tick', now: Date.now()" }],
    killers: [
      { by: 'seeds', mode: 'basic', seedsMax: 50 },
      { by: 'seeds', mode: 'multi', seedsMax: 50 },
    ],
  },
]
