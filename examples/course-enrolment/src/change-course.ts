import { StreamNotFoundError, WrongExpectedRevisionError, type Client } from '@synod/client'
import { streamOf, type CourseEvent } from './course-event.ts'
import { evolve, type Course } from './course.ts'

/** Somebody else is faster so often only if very many want the same course at once. */
const attemptsMax = 100

/**
 * Reads a course, asks `decide` for events, and appends them only if nobody appended since: else it reads and decides again. So two
 * services never give away the same seat, without a lock. A failed connection is the client's to mend: it repeats the append
 * with the same event ids, at another node if need be, and the store executes it once.
 * @throws whatever `decide` refuses with; the client's errors; WrongExpectedRevisionError after a hundred attempts
 */
export async function changeCourse(
  client: Client<CourseEvent>,
  name: string,
  decide: (course: Course | undefined) => readonly CourseEvent[],
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { course, revision } = await readCourse(client, name)
    const events = decide(course)
    if (events.length === 0) return
    try {
      await client.append(streamOf(name), events, { expected: revision ?? 'noStream' })
      return
    } catch (error) {
      if (!(error instanceof WrongExpectedRevisionError) || attempt === attemptsMax) throw error
    }
  }
}

async function readCourse(
  client: Client<CourseEvent>,
  name: string,
): Promise<{ course: Course | undefined; revision: bigint | undefined }> {
  let course: Course | undefined
  let revision: bigint | undefined
  try {
    for await (const event of client.readStream(streamOf(name))) {
      course = evolve(course, event)
      revision = event.revision
    }
  } catch (error) {
    if (!(error instanceof StreamNotFoundError)) throw error // no events yet
  }
  return { course, revision }
}
