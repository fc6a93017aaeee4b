import { connect, WrongExpectedRevisionError } from '@synod/client'

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

async function enrol(student: string): Promise<'enrolled' | 'full'> {
  for (;;) {
    let free = 0
    let revision = 0n
    for await (const event of client.readStream(course)) {
      free = event.type === 'CourseOpened' ? event.data.seats : free - 1
      revision = event.revision
    }
    if (free === 0) return 'full'
    try {
      await client.append(course, { type: 'StudentEnrolled', data: { student } }, { expected: revision })
      return 'enrolled'
    } catch (error) {
      if (!(error instanceof WrongExpectedRevisionError)) throw error // else somebody was faster: read and decide again
    }
  }
}
