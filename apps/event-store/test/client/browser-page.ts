/** What browser.test.ts runs in a page: the client as a web application would use it. Answers are JSON. */
import { connect, UnavailableError, WrongExpectedRevisionError, type RecordedEvent } from '@synod/client'

interface Clicked {
  readonly type: 'Clicked'
  readonly data: { readonly n: number; readonly text: string }
}

/** Checked with Node's types, like all tests. */
const page = globalThis as unknown as { readonly location: { readonly origin: string } }

async function appendReadAndFollow(node: string): Promise<unknown> {
  await using client = connect<Clicked>({ nodes: [node] })
  const controller = new AbortController()
  const followed: number[] = []
  let last: (() => void) | undefined
  const following = (async () => {
    for await (const message of client.subscribe({ stream: 'clicks', signal: controller.signal })) {
      if (message.kind !== 'event') continue
      followed.push(message.event.data.n)
      if (followed.length === 301) last?.()
    }
  })()
  const first = await client.append(
    'clicks',
    { type: 'Clicked', data: { n: 0, text: 'grüße 🎉' }, tags: ['page'] },
    { expected: 'noStream' },
  )
  const appended = await Promise.all(
    Array.from({ length: 300 }, (_, n) => client.append('clicks', { type: 'Clicked', data: { n: n + 1, text: 'x' } })),
  )
  const conflict = await client
    .append('clicks', { type: 'Clicked', data: { n: 0, text: '' } }, { expected: 'noStream' })
    .catch((error: unknown) => error)
  const events: RecordedEvent<Clicked>[] = []
  for await (const event of client.readStream('clicks')) events.push(event)
  if (followed.length < 301) await new Promise<void>((resolve) => (last = resolve))
  controller.abort('enough')
  const ended = await following.catch((reason: unknown) => reason)
  const { counters } = client.status()
  return {
    origin: page.location.origin,
    first: [String(first.revision), String(first.position)],
    revisions: appended.map(({ revision }) => Number(revision)).toSorted((a, b) => a - b),
    conflict: conflict instanceof WrongExpectedRevisionError ? String(conflict.actual) : String(conflict),
    text: events[0]?.data.text,
    tags: events[0]?.tags,
    read: events.map(({ data }) => data.n),
    followed,
    ended,
    frames: counters.framesSent,
  }
}

async function isRefused(node: string): Promise<unknown> {
  await using client = connect({ nodes: [node], appendTimeout: 500 })
  return client.append('clicks', { type: 'Clicked', data: 1 }).then(
    () => 'appended',
    (error: unknown) => (error instanceof UnavailableError ? { code: error.code, outcomeUnknown: error.outcomeUnknown } : String(error)),
  )
}

Object.assign(globalThis, { appendReadAndFollow, isRefused })
