import { createServer, type IncomingMessage, type Server } from 'node:http'
import { BusyError, TooManyConflictsError, UnavailableError, type Client } from '@synod/client'
import type { Catalogue } from './catalogue.ts'
import type { CourseEvent } from './course-event.ts'
import { CourseRefusal } from './course.ts'
import { enrolStudent, openCourse, withdrawStudent } from './decisions.ts'

const bodyBytesMax = 16 * 1024
const statuses = { not_opened: 404, opened_otherwise: 409, full: 409, seated_elsewhere: 409 } as const

interface Answer {
  readonly status: number
  readonly body: unknown
}

/**
 * `PUT /courses/{course}` `{seats}` · `PUT` or `DELETE /courses/{course}/students/{student}` · `GET /courses`, which may be a
 * moment behind. Each may be repeated: what is true already is answered as if it had been done now.
 */
export function httpService(client: Client<CourseEvent>, catalogue: Pick<Catalogue, 'list'>): Server {
  return createServer((request, response) => {
    void answer(request, client, catalogue).then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
  })
}

/** Never rejects. */
async function answer(request: IncomingMessage, client: Client<CourseEvent>, catalogue: Pick<Catalogue, 'list'>): Promise<Answer> {
  try {
    return await route(request, client, catalogue)
  } catch (error) {
    if (error instanceof CourseRefusal) return { status: statuses[error.code], body: { code: error.code, message: error.message } }
    if (error instanceof BadRequest) return { status: 400, body: { code: 'bad_request', message: error.message } }
    // Perhaps it happened: the caller repeats the same request, and it happens once.
    if ([UnavailableError, BusyError, TooManyConflictsError].some((known) => error instanceof known))
      return { status: 503, body: { code: (error as UnavailableError).code, message: (error as Error).message } }
    console.error(error)
    return { status: 500, body: { code: 'internal', message: (error as Error).message } }
  }
}

async function route(request: IncomingMessage, client: Client<CourseEvent>, catalogue: Pick<Catalogue, 'list'>): Promise<Answer> {
  const { method = '', url = '' } = request
  const [root, course, students, student, ...rest] = decodedParts(url)
  if (root === 'courses' && rest.length === 0) {
    if (method === 'GET' && course === undefined) return { status: 200, body: { courses: catalogue.list() } }
    if (method === 'PUT' && course && students === undefined) {
      const seats = await readSeats(request)
      await openCourse(client, course, seats)
      return { status: 200, body: { course, seats } }
    }
    if ((method === 'PUT' || method === 'DELETE') && course && students === 'students' && student) {
      await (method === 'PUT' ? enrolStudent : withdrawStudent)(client, course, student)
      return { status: 200, body: { course, student, isEnrolled: method === 'PUT' } }
    }
  }
  return { status: 404, body: { code: 'no_such_route', message: `${method} ${url}` } }
}

class BadRequest extends Error {}

function decodedParts(url: string): string[] {
  try {
    return url.slice(1).split('/').map(decodeURIComponent)
  } catch {
    throw new BadRequest(`${url} is not percent-encoded`)
  }
}

async function readSeats(request: IncomingMessage): Promise<number> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += String(chunk)
    if (text.length > bodyBytesMax) throw new BadRequest(`more than ${bodyBytesMax} bytes`)
  }
  let body: { seats?: unknown } | null
  try {
    body = JSON.parse(text) as typeof body
  } catch {
    throw new BadRequest('the body is not JSON')
  }
  const { seats } = body ?? {}
  if (typeof seats !== 'number' || !Number.isInteger(seats) || seats < 1) throw new BadRequest('seats must be an integer from 1')
  return seats
}
