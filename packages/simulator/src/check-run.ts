/** The checks at the end of a run: the quorum's log against itself, against a sequential model, and against what clients saw. */
import { bytesEqual } from '@synod/codec'
import type { RecordedEvent } from '@synod/events'
import type { Entry } from '@synod/log'
import { checkHistory } from './checkers/check-history.ts'
import type { SeenEvent } from './checkers/history.ts'
import { checkGroup } from './checkers/groups.ts'
import { LogModel } from './checkers/log-model.ts'
import { passes } from './checkers/matching.ts'
import type { Run } from './run.ts'
import { keyOf } from './workload/group-consumer.ts'
import { seen } from './workload/sim-event.ts'
import type { Serving } from './world/sim-node.ts'

const pageEvents = 4096
const checkMsMax = 60_000

export async function checkRun(run: Run): Promise<void> {
  const { world, asked, onViolation, history } = run
  let isDone = false
  const work = async (): Promise<void> => {
    const servings = asked.nodes.flatMap(({ serving }) => serving ?? [])
    const [first, ...others] = await Promise.all(servings.map(readAll))
    if (first === undefined) throw new Error('no node of the quorum is up')
    for (const events of others) compare(run, first, events)
    const [serving] = servings
    if (serving !== undefined) await checkConsumers(run, serving, first)
    // Last, as it takes the disks over: nothing may be asked of the nodes after it.
    if (serving !== undefined) checkLog(run, await readLog(serving), first.length)
    const subscriptions = run.subscribers.flatMap(({ connections }) => connections)
    const { appends: atomic, queries } = run.boundaries
    for (const violation of checkHistory({ operations: history, atomic, queries, subscriptions }, first)) onViolation(violation)
  }
  let failure: Error | undefined
  work()
    .catch((error: unknown) => (failure = error instanceof Error ? error : new Error(String(error))))
    .finally(() => (isDone = true))
  if (!(await world.runUntil(() => isDone, checkMsMax)))
    onViolation({ kind: 'liveness', message: `the final reads did not end within ${checkMsMax} ms` })
  if (failure !== undefined) throw failure
}

async function checkConsumers({ group, onViolation }: Run, { events }: Serving, all: readonly SeenEvent[]): Promise<void> {
  if (group === undefined || events === undefined) return
  const { definition, history } = group
  const wanted = all
    .filter((event) => passes(event, definition.filter ?? {}))
    .map((event) => ({ position: event.position, key: keyOf(definition, event) }))
  const { settled } = await events.groups.get(group.group)
  const parked: number[] = []
  for (let after = 0; ; after = parked.at(-1) ?? after) {
    const page = await events.groups.parked(group.group, { after, limit: pageEvents })
    if (page.length === 0) break
    parked.push(...page.map(({ event }) => event.position))
  }
  for (const violation of checkGroup(group.group, history, { wanted, settled, parked })) onViolation(violation)
}

async function readAll({ events }: Serving): Promise<SeenEvent[]> {
  const all: SeenEvent[] = []
  for (;;) {
    const page: readonly RecordedEvent[] = (await events?.readAll({ from: all.length + 1, limit: pageEvents, consistency: 'local' })) ?? []
    if (page.length === 0) return all
    all.push(...page.map(seen))
  }
}

async function readLog({ log }: Serving): Promise<{ readonly entry: Entry; readonly bytes: Uint8Array }[]> {
  const entries: { readonly entry: Entry; readonly bytes: Uint8Array }[] = []
  for await (const { slot, entry, bytes } of log.entries(1)) {
    if (slot !== entries.length + 1) throw new Error(`slot ${slot} came after slot ${entries.length}`)
    entries.push({ entry, bytes })
  }
  return entries
}

function compare({ onViolation }: Run, left: readonly SeenEvent[], right: readonly SeenEvent[]): void {
  const at = Array.from({ length: Math.max(left.length, right.length) }).findIndex(
    (_, index) => JSON.stringify(left[index]) !== JSON.stringify(right[index]),
  )
  if (at >= 0)
    onViolation({
      kind: 'agreement',
      message: `position ${at + 1} is ${JSON.stringify(left[at])} on one node and ${JSON.stringify(right[at])} on another`,
    })
}

function checkLog(run: Run, log: readonly { readonly entry: Entry; readonly bytes: Uint8Array }[], events: number): void {
  const { agreement, plan, onViolation } = run
  const { sessionsMax = 10_000, sessionAnswersMax = 4096 } = plan.logLimits
  const { idWindow = 1_000_000, keysMax = 100_000 } = plan.machineLimits
  const model = new LogModel({ sessionsMax, sessionAnswersMax, idWindow, keysMax })
  let answered = 0
  log.forEach(({ entry }, at) => {
    for (const [command, answer] of model.applySlot(at + 1, entry)) {
      const known = agreement.answers.get(`${at + 1}/${command}`)
      answered++
      if (answer === undefined ? known === undefined : known?.answer !== answer)
        onViolation({
          kind: 'verdict',
          message: `command ${command} of slot ${at + 1}: ${known?.node ?? 'nobody'} answered ${known?.answer}, the model ${answer}`,
        })
    }
  })
  if (model.head !== events) onViolation({ kind: 'verdict', message: `the model has ${model.head} events, the store ${events}` })
  if (answered !== agreement.answers.size && agreement.slots <= log.length)
    onViolation({ kind: 'verdict', message: `${agreement.answers.size} commands were executed, and by the model ${answered}` })
  checkDisks(run, log)
}

/** What any node's disk says is decided is what the log holds, frozen nodes included. */
function checkDisks({ nodes, onViolation }: Run, log: readonly { readonly bytes: Uint8Array }[]): void {
  for (const node of nodes) {
    if (node.isWiped) continue
    const { content } = node.disk
    const recovered = content.takeOver(node.id, undefined)
    const through = recovered.epochs.find(({ epoch }) => epoch === 1)?.decidedThrough ?? 0
    const held = content.slots(1, 1, through, Number.MAX_SAFE_INTEGER)
    const hole = held.findIndex(({ index }, at) => index !== at + 1)
    const missing = hole === -1 ? held.length + 1 : hole + 1
    if (missing <= through)
      onViolation({ kind: 'agreement', message: `slot ${missing} is decided on the disk of ${node.id}, and is not there` })
    // A slot may have been decided since the log was read.
    const other = held.find(({ index, entry }) => !bytesEqual(log[index - 1]?.bytes ?? entry, entry))
    if (other !== undefined)
      onViolation({ kind: 'agreement', message: `slot ${other.index} is decided on the disk of ${node.id}, and is not what the log holds` })
  }
}
