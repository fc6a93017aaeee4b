import { connect } from '@synod/client'

type CourseEvent = { type: 'CourseOpened'; data: { seats: number } } | { type: 'StudentEnrolled'; data: { student: string } }

// Any one node is enough: the client learns of the others, finds the leader, and goes on when it dies.
const client = connect<CourseEvent>({ nodes: ['http://127.0.0.1:2113', 'http://127.0.0.1:2114'] })
const course = `course-${Date.now()}`

await client.append(course, { type: 'CourseOpened', data: { seats: 2 } }, { expected: 'noStream' })
for (const student of ['ada', 'grace', 'barbara']) console.log(student, await enrol(student))

// Replays what was, then follows what comes; `after` resumes behind a position that you saved.
for await (const message of client.subscribe({ stream: course })) {
  if (message.kind === 'event') console.log(message.event.position, message.event.type, message.event.data)
  if (message.kind === 'caughtUp') break
}
await client.close()

// Reads the stream and decides; if somebody else appended meanwhile, once more.
async function enrol(student: string): Promise<'enrolled' | 'full'> {
  const { appended } = await client.decide(course, {
    initialState: () => 0,
    evolve: (free, event) => (event.type === 'CourseOpened' ? event.data.seats : free - 1),
    decide: (free) => (free > 0 ? { type: 'StudentEnrolled', data: { student } } : undefined),
  })
  return appended === undefined ? 'full' : 'enrolled'
}
