import { SessionProposer, type OrderedLog } from '@synod/log'
import type { Verdict } from '@synod/events'
import { kindVersion } from '../src/command-kinds.ts'
import { encodeTick, type Tick } from '../src/retention/tick-command.ts'
import type { TestNode } from './node.ts'

/** Ticks as the test wants them: of any node, with any clock. */
export class TickProposer {
  readonly #proposer: SessionProposer<Verdict>

  constructor({ log }: Pick<TestNode, 'log'>) {
    this.#proposer = new SessionProposer(log as unknown as OrderedLog<Verdict>)
  }

  async tick(tick: Tick): Promise<void> {
    const outcome = await this.#proposer.propose({ version: kindVersion, principal: '', body: encodeTick(tick), blobs: [] })
    if (outcome.fate !== 'answered' || outcome.output.kind !== 'retention')
      throw new Error(`the tick was not taken: ${JSON.stringify(outcome)}`)
  }
}
