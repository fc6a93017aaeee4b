/**
 * The rules, without a store: what is known after some events (`evolve…`), and which events a wish leads to. A wish that came true already leads
 * to no events, so that asking twice is asking once.
 */
import type { CourseEvent } from './course-event.ts'

/** Why a wish is refused; `code` is for programs. */
export class CourseRefusal extends Error {
  readonly code: 'not_opened' | 'opened_otherwise' | 'full' | 'seated_elsewhere'
  constructor(code: CourseRefusal['code'], message: string) {
    super(message)
    this.name = 'CourseRefusal'
    this.code = code
  }
}

/** Of one course; undefined: it has not been opened. */
export type Seats = number | undefined

/** Of a course's own events; what others append to its stream changes nothing. */
export function evolveSeats(seats: Seats, event: CourseEvent): Seats {
  return event.type === 'CourseOpened' ? event.data.seats : seats
}

export function open(before: Seats, course: string, seats: number): CourseEvent[] {
  if (before === undefined) return [{ type: 'CourseOpened', data: { course, seats } }]
  if (before === seats) return []
  throw new CourseRefusal('opened_otherwise', `it is open already, with ${before} seats`)
}

/** What a student's wish for a seat is decided on: the whole course, and where this student sits. */
export interface Enrolment {
  readonly course: string
  readonly student: string
  readonly seats: Seats
  readonly taken: number
  /** The course where the student has a seat; undefined: none. */
  readonly seatedIn: string | undefined
}

export function noEnrolment(course: string, student: string): Enrolment {
  return { course, student, seats: undefined, taken: 0, seatedIn: undefined }
}

/** Of events of the course or of the student. */
export function evolveEnrolment(before: Enrolment, event: CourseEvent): Enrolment {
  const isHere = event.data.course === before.course
  switch (event.type) {
    case 'CourseOpened':
      return isHere ? { ...before, seats: event.data.seats } : before
    case 'StudentEnrolled':
    case 'StudentWithdrew': {
      const isIn = event.type === 'StudentEnrolled'
      const taken = isHere ? before.taken + (isIn ? 1 : -1) : before.taken
      if (event.data.student !== before.student) return { ...before, taken }
      return { ...before, taken, seatedIn: isIn ? event.data.course : undefined }
    }
    default:
      return before
  }
}

/** The two rules that no single stream knows: a course has so many seats, and a student takes one at most, in whatever course. */
export function enrol({ course, student, seats, taken, seatedIn }: Enrolment): CourseEvent[] {
  if (seats === undefined) throw new CourseRefusal('not_opened', 'there is no such course')
  if (seatedIn === course) return []
  if (seatedIn !== undefined) throw new CourseRefusal('seated_elsewhere', `${student} has a seat in ${seatedIn}: withdraw there first`)
  if (taken >= seats) throw new CourseRefusal('full', `all ${seats} seats are taken`)
  return [{ type: 'StudentEnrolled', data: { course, student } }]
}

export function withdraw({ course, student, seatedIn }: Enrolment): CourseEvent[] {
  return seatedIn === course ? [{ type: 'StudentWithdrew', data: { course, student } }] : []
}
