import {
  CourseRefusal,
  enrol,
  evolveEnrolment,
  evolveSeats,
  noEnrolment,
  open,
  withdraw,
  type CourseEvent,
  type Enrolment,
  type Seats,
} from '@synod/example-course-enrolment'
import { expect, it } from 'vitest'

const opened: CourseEvent = { type: 'CourseOpened', data: { course: 'logic', seats: 2 } }

function enrolled(student: string, course = 'logic'): CourseEvent {
  return { type: 'StudentEnrolled', data: { course, student } }
}

function withdrew(student: string, course = 'logic'): CourseEvent {
  return { type: 'StudentWithdrew', data: { course, student } }
}

it('opens a course once, and again only if it would be the same', () => {
  expect(open(undefined, 'logic', 2)).toEqual([opened])
  expect(open(seats(opened, enrolled('ada')), 'logic', 2)).toEqual([])
  expect(() => open(seats(opened), 'logic', 3)).toThrow(expect.objectContaining({ code: 'opened_otherwise' }))
})

it('enrols until the seats are taken, and nobody twice', () => {
  expect(enrol(wishOf('ada', opened))).toEqual([enrolled('ada')])
  expect(enrol(wishOf('ada', opened, enrolled('ada')))).toEqual([])
  expect(() => enrol(wishOf('barbara', opened, enrolled('ada'), enrolled('grace')))).toThrow(CourseRefusal)
  expect(enrol(wishOf('grace', opened, enrolled('ada'), enrolled('grace')))).toEqual([])
  expect(() => enrol(wishOf('ada'))).toThrow(expect.objectContaining({ code: 'not_opened' }))
})

it('gives a student one seat, whatever the course', () => {
  const elsewhere = enrolled('ada', 'algebra')
  expect(() => enrol(wishOf('ada', opened, elsewhere))).toThrow(expect.objectContaining({ code: 'seated_elsewhere' }))
  expect(enrol(wishOf('ada', opened, elsewhere, withdrew('ada', 'algebra')))).toEqual([enrolled('ada')])
  // What others have elsewhere takes no seat here.
  expect(enrol(wishOf('barbara', opened, enrolled('ada'), elsewhere, elsewhere))).toHaveLength(1)
})

it('gives the seat of a student who withdrew to another', () => {
  expect(withdraw(wishOf('ada', opened, enrolled('ada')))).toEqual([withdrew('ada')])
  expect(withdraw(wishOf('ada', opened))).toEqual([])
  expect(withdraw(wishOf('ada', enrolled('ada', 'algebra')))).toEqual([])
  expect(enrol(wishOf('barbara', opened, enrolled('ada'), enrolled('grace'), withdrew('ada')))).toHaveLength(1)
})

it('is not opened by what others appended', () => {
  const foreign = { type: 'SomethingElse', data: {} } as unknown as CourseEvent
  expect(seats(foreign)).toBeUndefined()
  expect(wishOf('ada', foreign)).toEqual(noEnrolment('logic', 'ada'))
})

function seats(...events: readonly CourseEvent[]): Seats {
  return events.reduce<Seats>(evolveSeats, undefined)
}

/** What a wish of a student for a seat in logic is decided on. */
function wishOf(student: string, ...events: readonly CourseEvent[]): Enrolment {
  return events.reduce(evolveEnrolment, noEnrolment('logic', student))
}
