/**
 * Everything that happens to a course. Its stream is `course-<name>`; these types flow through the client. An event carries the tags of
 * the course and of the student that it is about: whoever decides across streams finds it by them.
 */
import type { NewEvent } from '@synod/client'

export type CourseEvent =
  | { readonly type: 'CourseOpened'; readonly data: { readonly course: string; readonly seats: number } }
  | { readonly type: 'StudentEnrolled'; readonly data: { readonly course: string; readonly student: string } }
  | { readonly type: 'StudentWithdrew'; readonly data: { readonly course: string; readonly student: string } }

/** Of the streams; what they have in common before the first `-` is their category. */
export const category = 'course'
const prefix = `${category}-`

export function streamOf(course: string): string {
  return `${prefix}${course}`
}

/** The course of a stream; undefined where the stream is none of a course. */
export function courseOf(stream: string): string | undefined {
  return stream.startsWith(prefix) ? stream.slice(prefix.length) : undefined
}

export function courseTag(course: string): string {
  return `course:${course}`
}

export function studentTag(student: string): string {
  return `student:${student}`
}

/** As it is appended. */
export function tagged(event: CourseEvent): NewEvent<CourseEvent> {
  const { course } = event.data
  return event.type === 'CourseOpened'
    ? { ...event, tags: [courseTag(course)] }
    : { ...event, tags: [courseTag(course), studentTag(event.data.student)] }
}
