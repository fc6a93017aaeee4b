/** Everything that happens to a course. Its stream is `course-<name>`; these types flow through the client. */
export type CourseEvent =
  | { readonly type: 'CourseOpened'; readonly data: { readonly seats: number } }
  | { readonly type: 'StudentEnrolled'; readonly data: { readonly student: string } }
  | { readonly type: 'StudentWithdrew'; readonly data: { readonly student: string } }

const prefix = 'course-'

export function streamOf(course: string): string {
  return `${prefix}${course}`
}

/** The course of a stream; undefined where the stream is none of a course. */
export function courseOf(stream: string): string | undefined {
  return stream.startsWith(prefix) ? stream.slice(prefix.length) : undefined
}
