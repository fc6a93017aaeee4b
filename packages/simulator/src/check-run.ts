/** The checks at the end of a run: the quorum's log against itself, against a sequential model, and against what clients saw. */
import { bytesEqual } from '@synod/codec'
import type { RecordedEvent } from '@synod/events'
import { decodeEntry, StoreError, type Entry } from '@synod/log'
import { checkHistory } from './checkers/check-history.ts'
import type { SeenEvent, WitnessEvent } from './checkers/history.ts'
import { checkGroup } from './checkers/groups.ts'
import { LogModel, type ModelEvent } from './checkers/log-model.ts'
import { passes } from './checkers/matching.ts'
import type { StreamChange } from './checkers/retention-model.ts'
import { checkRetention } from './checkers/retention.ts'
import type { Run } from './run.ts'
import { keyOf } from './workload/group-consumer.ts'
import { seen } from './workload/sim-event.ts'
import type { Archive } from './world/archive.ts'
import type { Serving } from './world/sim-node.ts'

const pageEvents = 4096
const checkMsMax = 60_000

export async function checkRun(run: Run): Promise<void> {
  const { world, onViolation } = run
  let isDone = false
  let failure: Error | undefined
  check(run)
    .catch((error: unknown) => (failure = error instanceof Error ? error : new Error(String(error))))
    .finally(() => (isDone = true))
  if (!(await world.runUntil(() => isDone, checkMsMax)))
    onViolation({ kind: 'liveness', message: `the final reads did not end within ${checkMsMax} ms` })
  if (failure !== undefined) throw failure
}

async function check(run: Run): Promise<void> {
  const { asked, archive, onViolation, history, retention, boundaries, subscribers } = run
  // What ages meanwhile is not the same on two nodes.
  for (const { serving } of asked.nodes) serving?.ticking?.stop()
  const servings = asked.nodes.flatMap(({ serving }) => serving ?? [])
  const [serving] = servings
  if (serving === undefined) throw new Error('no node of the quorum is up')
  const { applied, pages } = await readAlike(run, servings)
  const log = await readLog(serving, archive)
  const model = modelOf(run)
  const answered = runModel(run, model, log, 1, applied)
  const visible = model.events.filter(({ hiddenAfter }) => hiddenAfter === undefined).map(seen)
  pages.forEach((events, at) => compare(run, visible, events, servings[at]?.life.name ?? ''))
  // Since then.
  checkAnswered(run, answered + runModel(run, model, log, applied + 1, log.length), log.length)
  run.tally.add('hidden events', model.events.filter(({ hiddenAfter }) => hiddenAfter !== undefined).length)
  const events = model.events.map((event) => ({ ...seen(event), ...hiddenAs(event, run) }))
  await checkConsumers(run, serving, events)
  const changesOf = (stream: string): readonly StreamChange[] => model.changesOf(stream)
  const operations = [...history, ...retention.operations]
  for (const violation of checkRetention(retention.changes, operations, changesOf)) onViolation(violation)
  const subscriptions = subscribers.flatMap(({ connections }) => connections)
  const { appends: atomic, queries } = boundaries
  for (const violation of checkHistory({ operations, atomic, queries, subscriptions }, events)) onViolation(violation)
  // Last, as it takes the disks over: nothing may be asked of the nodes after it.
  checkDisks(run, log)
}

function hiddenAs({ hiddenAfter, hiddenIn = 0, isReborn }: ModelEvent, { agreement }: Run): Partial<WitnessEvent> {
  if (hiddenAfter === undefined) return isReborn ? { isReborn } : {}
  return { hiddenAfter, hiddenSince: agreement.appliedAt(hiddenIn) ?? -Infinity, isReborn }
}

/** What each of them has, read while all of them had applied the same, and nothing more came. */
async function readAlike({ world }: Run, servings: readonly Serving[]): Promise<{ applied: number; pages: SeenEvent[][] }> {
  const applied = (): number | undefined => {
    const [first, ...others] = servings.map(({ log }) => log.status().applied)
    return others.every((other) => other === first) ? first : undefined
  }
  for (;;) {
    const before = applied()
    if (before !== undefined) {
      const pages = await Promise.all(servings.map(readAll))
      if (applied() === before) return { applied: before, pages }
    }
    await world.sleep(50)
  }
}

async function checkConsumers({ group, onViolation }: Run, { events }: Serving, all: readonly (WitnessEvent & SeenEvent)[]): Promise<void> {
  if (group === undefined || events === undefined) return
  const { definition, history } = group
  const wanted = all
    .filter((event) => passes(event, definition.filter ?? {}))
    .map((event) => ({ position: event.position, key: keyOf(definition, event), isHidden: event.hiddenAfter !== undefined }))
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
    const from = (all.at(-1)?.position ?? 0) + 1
    const page: readonly RecordedEvent[] = (await events?.readAll({ from, limit: pageEvents, consistency: 'local' })) ?? []
    if (page.length === 0) return all
    all.push(...page.map(seen))
  }
}

interface LogSlot {
  readonly entry: Entry
  readonly bytes: Uint8Array
}

/** The whole log: from the node, and where it gave space back as it was then. */
async function readLog({ log }: Serving, archive: Archive): Promise<LogSlot[]> {
  const slots: LogSlot[] = []
  for (;;) {
    try {
      for await (const { slot, entry, bytes } of log.entries(slots.length + 1)) {
        if (slot !== slots.length + 1) throw new Error(`slot ${slot} came after slot ${slots.length}`)
        slots.push({ entry, bytes })
      }
      return slots
    } catch (error) {
      const isReclaimed = error instanceof StoreError && error.code === 'reclaimed'
      if (!isReclaimed || archive.entry(slots.length + 1) === undefined) throw error
    }
    for (let bytes = archive.entry(slots.length + 1); bytes !== undefined; bytes = archive.entry(slots.length + 1))
      slots.push({ entry: decodeEntry(bytes), bytes })
  }
}

function compare({ onViolation }: Run, visible: readonly SeenEvent[], read: readonly SeenEvent[], node: string): void {
  const at = Array.from({ length: Math.max(visible.length, read.length) }).findIndex(
    (_, index) => JSON.stringify(visible[index]) !== JSON.stringify(read[index]),
  )
  if (at >= 0)
    onViolation({
      kind: 'agreement',
      message: `visible event ${at + 1} is ${JSON.stringify(visible[at])} by the log, and ${JSON.stringify(read[at])} on ${node}`,
    })
}

function modelOf({ plan }: Run): LogModel {
  const { sessionsMax = 10_000, sessionAnswersMax = 4096 } = plan.logLimits
  const { idWindow = 1_000_000, keysMax = 100_000 } = plan.machineLimits
  return new LogModel({ sessionsMax, sessionAnswersMax, idWindow, keysMax })
}

/** Both ends included. How many commands were answered. */
function runModel({ agreement, onViolation }: Run, model: LogModel, log: readonly LogSlot[], from: number, to: number): number {
  let answered = 0
  for (let slot = from; slot <= to; slot++) {
    const entry = log[slot - 1]?.entry
    if (entry === undefined) throw new Error(`slot ${slot} was applied, and the log ends at ${log.length}`)
    for (const [command, answer] of model.applySlot(slot, entry)) {
      const known = agreement.answers.get(`${slot}/${command}`)
      answered++
      if (answer === undefined ? known === undefined : known?.answer !== answer)
        onViolation({
          kind: 'verdict',
          message: `command ${command} of slot ${slot}: ${known?.node ?? 'nobody'} answered ${known?.answer}, the model ${answer}`,
        })
    }
  }
  return answered
}

function checkAnswered({ agreement, onViolation }: Run, answered: number, slots: number): void {
  if (answered !== agreement.answers.size && agreement.slots <= slots)
    onViolation({ kind: 'verdict', message: `${agreement.answers.size} commands were executed, and by the model ${answered}` })
}

/** What any node's disk says is decided is what the log holds, frozen nodes included, and what was there before it was given back. */
function checkDisks({ nodes, archive, onViolation }: Run, log: readonly LogSlot[]): void {
  for (const node of nodes) {
    if (node.isWiped) continue
    const { content } = node.disk
    const recovered = content.takeOver(node.id, undefined)
    const through = recovered.epochs.find(({ epoch }) => epoch === 1)?.decidedThrough ?? 0
    const held = new Map<number, Uint8Array>()
    for (let next = 1; next <= through; next++) {
      if (node.disk.gaveBack(next)) continue
      for (const { index, entry } of content.slots(1, next, through, Number.MAX_SAFE_INTEGER)) held.set((next = index), entry)
    }
    for (let slot = 1; slot <= through; slot++) {
      const bytes = node.disk.gaveBack(slot) ? archive.entry(slot) : held.get(slot)
      // A slot may have been decided since the log was read.
      const isSame = bytes !== undefined && bytesEqual(log[slot - 1]?.bytes ?? bytes, bytes)
      if (isSame) continue
      const what = bytes === undefined ? 'is not there' : 'is not what the log holds'
      onViolation({ kind: 'agreement', message: `slot ${slot} is decided on the disk of ${node.id}, and ${what}` })
      break
    }
  }
}
