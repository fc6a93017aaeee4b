import { CourseRefusal, enrol, evolve, open, withdraw, type Course, type CourseEvent } from '@synod/example-course-enrolment'
import { expect, it } from 'vitest'

const opened: CourseEvent = { type: 'CourseOpened', data: { seats: 2 } }
const [ada, grace] = ['ada', 'grace'].map((student): CourseEvent => ({ type: 'StudentEnrolled', data: { student } })) as [
  CourseEvent,
  CourseEvent,
]

it('opens a course once, and again only if it would be the same', () => {
  expect(open(undefined, 2)).toEqual([opened])
  expect(open(after(opened), 2)).toEqual([])
  expect(() => open(after(opened), 3)).toThrow(expect.objectContaining({ code: 'opened_otherwise' }))
})

it('enrols until the seats are taken, and nobody twice', () => {
  expect(enrol(after(opened), 'ada')).toEqual([ada])
  expect(enrol(after(opened, ada), 'ada')).toEqual([])
  expect(() => enrol(after(opened, ada, grace), 'barbara')).toThrow(CourseRefusal)
  expect(enrol(after(opened, ada, grace), 'grace')).toEqual([])
  expect(() => enrol(undefined, 'ada')).toThrow(expect.objectContaining({ code: 'not_opened' }))
})

it('gives the seat of a student who withdrew to another', () => {
  const withdrew: CourseEvent = { type: 'StudentWithdrew', data: { student: 'ada' } }
  expect(withdraw(after(opened, ada), 'ada')).toEqual([withdrew])
  expect(withdraw(after(opened), 'ada')).toEqual([])
  expect(enrol(after(opened, ada, grace, withdrew), 'barbara')).toHaveLength(1)
})

it('is not opened by what others appended', () => {
  const foreign = { type: 'SomethingElse', data: {} } as unknown as CourseEvent
  expect(after(foreign, ada)).toBeUndefined()
  expect(after(opened, foreign, ada)).toEqual({ seats: 2, students: new Set(['ada']) })
})

function after(...events: readonly CourseEvent[]): Course | undefined {
  return events.reduce<Course | undefined>(evolve, undefined)
}
