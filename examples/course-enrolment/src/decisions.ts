/**
 * Wishes, decided against the store. Each reads what its rules need, decides, and appends only if that is still all there is; if somebody was
 * faster, again. So two services never give away the same seat, without a lock. A failed connection is the client's to mend.
 *
 * All throw what the rules refuse with, and the client's errors: after an UnavailableError or a TooManyConflictsError the same wish may be asked again.
 */
import type { Client, EventQuery } from '@synod/client'
import { courseTag, streamOf, studentTag, tagged, type CourseEvent } from './course-event.ts'
import { enrol, evolveEnrolment, evolveSeats, noEnrolment, open, withdraw, type Enrolment, type Seats } from './course.ts'

/** Others are faster so often only if very many want the same course at once. */
const attemptsMax = 100

/** Decided on one stream: nobody else appended to it. */
export async function openCourse(client: Client<CourseEvent>, course: string, seats: number): Promise<void> {
  const decide = (before: Seats) => open(before, course, seats).map(tagged)
  await client.decide(streamOf(course), { initialState: (): Seats => undefined, evolve: evolveSeats, decide }, { attemptsMax })
}

/** Decided on a boundary across streams: nothing new about the course, nor about the student, wherever it stands. */
export async function enrolStudent(client: Client<CourseEvent>, course: string, student: string): Promise<void> {
  await decideEnrolment(client, { items: [{ tags: [courseTag(course)] }, { tags: [studentTag(student)] }] }, course, student, enrol)
}

/** Needs to know of the student's seat here alone, so nobody else's wishes are in its way. */
export async function withdrawStudent(client: Client<CourseEvent>, course: string, student: string): Promise<void> {
  await decideEnrolment(client, { items: [{ tags: [courseTag(course), studentTag(student)] }] }, course, student, withdraw)
}

async function decideEnrolment(
  client: Client<CourseEvent>,
  query: EventQuery,
  course: string,
  student: string,
  rule: (enrolment: Enrolment) => CourseEvent[],
): Promise<void> {
  const decider = {
    initialState: () => noEnrolment(course, student),
    evolve: evolveEnrolment,
    decide: (enrolment: Enrolment) => {
      const events = rule(enrolment).map(tagged)
      return events.length === 0 ? undefined : { stream: streamOf(course), events }
    },
  }
  await client.decide(query, decider, { attemptsMax })
}
