/** Known bugs of real systems that need the log above the core: consensus.md's numbers, like known-bugs.test.ts. */
import { afterEach, describe, expect, test } from 'vitest'
import { command, LogCluster, type LogClusterOptions } from './log-cluster.ts'

let cluster: LogCluster

async function open(options?: LogClusterOptions): Promise<LogCluster> {
  cluster = await LogCluster.open(options)
  return cluster
}

afterEach(async () => {
  await cluster.close()
})

test.each(['disk_full', 'unavailable'] as const)(
  'bug 6: a leader whose disk fails (%s) stops and never acknowledges again, though the disk comes back; the others go on',
  async (code) => {
    await open()
    const session = await cluster.openSession('n1')
    const broken = cluster.node('n1').log.status().leader!
    const [other] = cluster.members.filter((id) => id !== broken)
    cluster.disks(broken).log.fail(code)
    const lost = await cluster.wait(cluster.node(broken).log.propose(command(session, 1, 'unsure')))
    expect(lost).toEqual({ fate: 'unknown', why: 'closed' })
    expect(cluster.node(broken).failures).toMatchObject([{ name: 'StoreError', code }])
    cluster.disks(broken).log.repair()
    await cluster.scheduler.run(10_000)
    expect(cluster.node(broken).log.status().state).toBe('stopped')
    expect(await cluster.node(broken).log.propose(command(session, 2, 'never'))).toEqual({ fate: 'never', why: 'notServing' })
    expect(cluster.node(broken).failures).toHaveLength(1)
    await cluster.propose(other!, session, 3, 'without it')
    expect(cluster.node(other!).list).toContain('without it')
    expect(cluster.node(other!).log.status().leader).not.toBe(broken)
    expect(cluster.node(broken).list).toEqual([])
  },
)

describe.each(['multi', 'basic'] as const)('bug 7: a wiped node does not vote (%s)', (mode) => {
  test('bug 7: with one node down, a wiped one makes no quorum; what was acknowledged is not lost', async () => {
    await open({ mode })
    const session = await cluster.openSession('n1')
    // Acknowledged by n2 and n3, while n1 is down: only those two can know of it.
    await cluster.crash('n1')
    expect(await cluster.propose('n2', session, 1, 'acknowledged')).toMatchObject({ fate: 'answered', output: 1 })
    await cluster.wipe('n3')
    await cluster.crash('n2')
    await cluster.start('n1')
    await cluster.scheduler.run(20_000)
    expect(cluster.node('n3').log.status()).toMatchObject({ state: 'wiped', applied: 0 })
    expect(cluster.node('n1').log.status().state).toBe('unavailable')
    expect(cluster.node('n1').list).toEqual([])
    expect(await cluster.node('n1').log.propose(command(session, 2, 'too early'))).toEqual({ fate: 'never', why: 'notServing' })
    expect(await cluster.node('n3').log.propose(command(session, 2, 'too early'))).toEqual({ fate: 'never', why: 'notServing' })
    await expect(cluster.node('n3').log.read()).rejects.toMatchObject({ code: 'unavailable' })
    // The other one that knows comes back, and now there is a quorum.
    await cluster.start('n2')
    expect(await cluster.propose('n1', session, 2, 'later')).toMatchObject({ fate: 'answered', output: 2 })
    expect(cluster.node('n1').list).toEqual(['acknowledged', 'later'])
    expect(cluster.node('n3').log.status()).toMatchObject({ state: 'wiped', applied: 0 })
  })

  test('bug 7: a wiped node that is founded again, as another life of its storage, is heard by nobody', async () => {
    await open({ mode })
    const session = await cluster.openSession('n1')
    await cluster.crash('n2')
    await cluster.wipe('n3', 'ef'.repeat(16))
    await cluster.scheduler.run(20_000)
    expect(cluster.node('n1').log.status().state).toBe('unavailable')
    expect(cluster.node('n1').log.counters()['dropped_stranger']).toBeGreaterThan(10)
    expect(await cluster.node('n1').log.propose(command(session, 1, 'too early'))).toEqual({ fate: 'never', why: 'notServing' })
    expect(cluster.node('n1').list).toEqual([])
  })

  test('bug 7: two wiped nodes are no new cluster', async () => {
    await open({ mode })
    for (const id of ['n1', 'n2']) await cluster.wipe(id)
    await cluster.scheduler.run(20_000)
    for (const id of ['n1', 'n2']) {
      expect(cluster.node(id).log.status().state).toBe('wiped')
      expect(await cluster.node(id).log.openSession()).toEqual({ fate: 'never', why: 'notServing' })
    }
    expect(cluster.node('n3').log.status().state).toBe('unavailable')
  })
})

describe('bug 16: a command that is tried again is applied once', () => {
  /** Milliseconds from the proposal to the crash: before anything left, between phases, after the decision, after the answer. */
  const moments = [0, 1, 2, 3, 4, 5, 8, 40]

  test.each(moments.flatMap((ms) => (['multi', 'basic'] as const).map((mode) => ({ mode, ms }))))(
    'bug 16: $mode, at another node when the first one crashed $ms ms later, with the answer of the first time',
    async ({ mode, ms }) => {
      await open({ mode })
      const session = await cluster.openSession('n1')
      await cluster.propose('n1', session, 1, 'before')
      // Where there is a leader it is the one that crashes.
      const first = cluster.node('n1').log.status().leader ?? 'n1'
      const others = cluster.members.filter((id) => id !== first)
      const lost = cluster.node(first).log.propose(command(session, 2, 'again'))
      await cluster.scheduler.run(ms)
      await cluster.crash(first)
      await lost
      const answered = await cluster.propose(others[0]!, session, 2, 'again')
      expect(answered).toMatchObject({ fate: 'answered', output: 2 })
      await cluster.start(first)
      for (const id of [others[1]!, first]) expect(await cluster.propose(id, session, 2, 'again')).toEqual(answered)
      await cluster.converge()
      for (const id of cluster.members) expect(cluster.node(id).list).toEqual(['before', 'again'])
    },
  )

  test('bug 16: the session table survives when all crash, whatever was saved and flushed by then', async () => {
    await open()
    const session = await cluster.openSession('n1')
    const answers = []
    for (let sequence = 1; sequence <= 20; sequence++) {
      answers.push(await cluster.propose('n1', session, sequence, `c${sequence}`))
      if (sequence % 5 !== 0) continue
      await cluster.converge()
      for (const id of cluster.members) await cluster.crash(id)
      for (const id of cluster.members) await cluster.start(id)
      await cluster.until(() => cluster.members.every((id) => cluster.node(id).log.status().state === 'serving'))
      const asked = cluster.members[sequence % 3]!
      for (const [at, answer] of answers.entries()) expect(await cluster.propose(asked, session, at + 1, `c${at + 1}`)).toEqual(answer)
    }
    await cluster.converge()
    for (const id of cluster.members) expect(cluster.node(id).list).toEqual(Array.from({ length: 20 }, (_, at) => `c${at + 1}`))
  })
})

describe('bug 17: the log decides which session expires, not a clock', () => {
  /** n2 is a day ahead and runs a tenth fast, n3 a tenth slow. */
  const clocks = { n1: { rate: 1, offsetMs: 0 }, n2: { rate: 1.1, offsetMs: 86_400_000 }, n3: { rate: 0.9, offsetMs: 0 } }

  test('bug 17: replicas with different clocks, one of them restarted, keep and forget the same sessions', async () => {
    await open({ clocks, sessionsMax: 3 })
    const kept = await cluster.openSession('n1')
    const forgotten = await cluster.openSession('n2')
    const first = await cluster.propose('n1', kept, 1, 'a')
    await cluster.propose('n2', forgotten, 1, 'b')
    await cluster.scheduler.run(300_000)
    // Long idle, and nowhere forgotten.
    for (const id of cluster.members) expect(await cluster.propose(id, kept, 1, 'a')).toEqual(first)
    await cluster.crash('n3')
    await cluster.scheduler.run(60_000)
    await cluster.start('n3')
    await cluster.until(() => cluster.node('n3').log.status().state === 'serving')
    // Both are idle for as long; the one used last, by the log's order, stays.
    await cluster.openSession('n3')
    await cluster.openSession('n2')
    for (const id of cluster.members) {
      expect(await cluster.propose(id, forgotten, 2, `late at ${id}`)).toEqual({ fate: 'unknown', why: 'sessionExpired' })
      expect(await cluster.propose(id, kept, 1, 'a')).toEqual(first)
    }
    await cluster.converge()
    for (const id of cluster.members) expect(cluster.node(id).list).toEqual(['a', 'b'])
  })
})
