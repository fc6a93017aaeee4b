/**
 * Faults of the product, planted at its ports in test builds, by name, to show that the harness finds them. Those of the
 * disk (`acknowledge-before-sync`) and of the node (`wiped-node-votes`) are where their effect is; here are the decorators.
 */
import type { Effect, Protocol, ProtocolDefinition } from '@synod/consensus'
import type { OrderedLog } from '@synod/log'

export const faultNames = ['acknowledge-before-sync', 'wiped-node-votes', 'send-before-sync', 'stale-read'] as const

/** A protocol whose messages do not wait for what they reveal. */
export function sendingEarly<M>(definition: ProtocolDefinition<M>): ProtocolDefinition<M> {
  const early = (effect: Effect<M>): Effect<M> => (effect.kind === 'send' ? { ...effect, reveals: 'nothing' } : effect)
  const around = (core: Protocol<M>): Protocol<M> => ({
    step: (input) => core.step(input).map(early),
    fork: () => around(core.fork()),
    digest: (rename) => core.digest(rename),
    get decidedHigh() {
      return core.decidedHigh
    },
    codec: core.codec,
  })
  return { ...definition, open: (options) => around(definition.open(options)) }
}

/** A log that takes what is applied here for what is acknowledged anywhere. */
export function readingStale<O>(log: OrderedLog<O>): OrderedLog<O> {
  return {
    capabilities: log.capabilities,
    propose: (command, options) => log.propose(command, options),
    openSession: (options) => log.openSession(options),
    read: () => Promise.resolve(log.status().applied),
    entries: (from, to) => log.entries(from, to),
    slices: (requests) => log.slices(requests),
    status: () => log.status(),
    onStatus: (listener) => log.onStatus(listener),
    counters: () => log.counters(),
    stepDown: () => log.stepDown(),
    close: () => log.close(),
  }
}
