/**
 * The rules of a course, without a store: what it is after its events (`evolve`), and which events a wish leads to (the rest). A wish
 * that came true already leads to no events, so that asking twice is asking once.
 */
import type { CourseEvent } from './course-event.ts'

export interface Course {
  readonly seats: number
  readonly students: ReadonlySet<string>
}

/** Why a wish is refused; `code` is for programs. */
export class CourseRefusal extends Error {
  readonly code: 'not_opened' | 'opened_otherwise' | 'full'
  constructor(code: CourseRefusal['code'], message: string) {
    super(message)
    this.name = 'CourseRefusal'
    this.code = code
  }
}

/** Undefined is a course that has not been opened; what others appended before that, or of types that are not ours, changes nothing. */
export function evolve(course: Course | undefined, event: CourseEvent): Course | undefined {
  switch (event.type) {
    case 'CourseOpened':
      return { seats: event.data.seats, students: new Set() }
    case 'StudentEnrolled':
      return course && { ...course, students: course.students.union(new Set([event.data.student])) }
    case 'StudentWithdrew':
      return course && { ...course, students: course.students.difference(new Set([event.data.student])) }
    default:
      return course
  }
}

export function open(course: Course | undefined, seats: number): CourseEvent[] {
  if (course === undefined) return [{ type: 'CourseOpened', data: { seats } }]
  if (course.seats === seats) return []
  throw new CourseRefusal('opened_otherwise', `it is open already, with ${course.seats} seats`)
}

export function enrol(course: Course | undefined, student: string): CourseEvent[] {
  const { seats, students } = requireOpen(course)
  if (students.has(student)) return []
  if (students.size >= seats) throw new CourseRefusal('full', `all ${seats} seats are taken`)
  return [{ type: 'StudentEnrolled', data: { student } }]
}

export function withdraw(course: Course | undefined, student: string): CourseEvent[] {
  return requireOpen(course).students.has(student) ? [{ type: 'StudentWithdrew', data: { student } }] : []
}

function requireOpen(course: Course | undefined): Course {
  if (course === undefined) throw new CourseRefusal('not_opened', 'there is no such course')
  return course
}
