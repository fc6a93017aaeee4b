/** The command `append-atomically`: a document as `POST /append` takes it (docs/http.md), from a file or standard input. */
import { z } from 'zod'
import type { AtomicWrites, Expected, NewEvent } from '@synod/client'
import { InputError } from './command-errors.ts'
import { readInputText } from './input-text.ts'
import { parseJsonText } from './json-text.ts'
import { expectedWords } from './option-values.ts'
import { runCommand, type ClusterOptions } from './run-command.ts'

// Strict, so that a misspelt key is not lost.
const expected = z.union([z.literal(expectedWords), z.int().nonnegative()], 'must be any, noStream, streamExists or a revision')
const event = z.strictObject({
  id: z.string().optional(),
  type: z.string(),
  data: z.unknown(),
  metadata: z.unknown().optional(),
  tags: z.array(z.string()).optional(),
})
const item = z.strictObject({ types: z.array(z.string()).optional(), tags: z.array(z.string()).optional() })
const request = z.strictObject({
  writes: z.array(z.strictObject({ stream: z.string(), expected: expected.optional(), events: z.array(event) })),
  checks: z.array(z.strictObject({ stream: z.string(), expected })).optional(),
  condition: z
    .strictObject({ failIfEventsMatch: z.strictObject({ items: z.array(item) }), after: z.int().nonnegative().optional() })
    .optional(),
})

export function appendAtomically(file: string, options: ClusterOptions): Promise<number> {
  return runCommand(options, async ({ client, output, signal }) => {
    const { position, streams } = await client.appendAtomically(parseRequest(await readInputText(file), file), { signal })
    if (options.json) {
      const revisions = streams.map(({ stream, revision }) => ({ stream, revision: Number(revision) }))
      return output.line(JSON.stringify({ position: Number(position), streams: revisions }))
    }
    const places = streams.map(({ stream, revision }) => `${stream}@${revision}`)
    return output.line(`appended ${places.join(', ')}, up to position ${position}`)
  })
}

/** @throws InputError that says what is wrong where */
function parseRequest(text: string, file: string): AtomicWrites {
  const name = file === '-' ? 'standard input' : file
  let document: unknown
  try {
    document = parseJsonText(text)
  } catch (error) {
    throw new InputError(`${name} is not JSON (${(error as Error).message.slice(0, 200)})`)
  }
  const parsed = request.safeParse(document)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const path = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `
    throw new InputError(`${name} is no {writes: [{stream, expected?, events}], checks?, condition?}: ${path}${issue?.message}`)
  }
  const { writes, checks, condition } = parsed.data
  return {
    writes: writes.map(({ stream, expected: given, events }) => ({
      stream,
      expected: toExpected(given),
      events: events as readonly NewEvent[],
    })),
    ...(checks !== undefined && { checks: checks.map((check) => ({ stream: check.stream, expected: toExpected(check.expected) })) }),
    ...(condition !== undefined && { condition: toCondition(condition) }),
  }
}

function toExpected(given: string | number | undefined): Expected {
  return typeof given === 'number' ? BigInt(given) : ((given ?? 'any') as Expected)
}

function toCondition({
  failIfEventsMatch,
  after,
}: NonNullable<z.infer<typeof request>['condition']>): NonNullable<AtomicWrites['condition']> {
  const items = failIfEventsMatch.items.map(({ types, tags }) => ({
    ...(types !== undefined && { types }),
    ...(tags !== undefined && { tags }),
  }))
  return { failIfEventsMatch: { items }, ...(after !== undefined && { after: BigInt(after) }) }
}
