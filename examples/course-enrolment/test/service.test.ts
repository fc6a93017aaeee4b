/** Two of the services, as behind a load balancer, and a real cluster of three nodes that loses its leader meanwhile. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { connect } from '@synod/client'
import { readCheckpoint, startService, streamOf, type CourseEvent, type Service } from '@synod/example-course-enrolment'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { startCluster, type Cluster } from './cluster.ts'

const folder = mkdtempSync(join(tmpdir(), 'synod-courses-'))
const failures: unknown[] = []
let cluster: Cluster
let services: [Service, Service]

beforeAll(async () => {
  cluster = await startCluster()
  services = await Promise.all([serve('one'), serve('two')])
}, 180_000)

afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()))
  await cluster.remove()
  rmSync(folder, { recursive: true })
}, 60_000)

it('gives each seat away once, whoever asks whom, while the leader is killed', { timeout: 120_000 }, async () => {
  const courses = Array.from({ length: 10 }, (_, index) => `c${index}`)
  await Promise.all(courses.map((course) => put(`/courses/${course}`, { seats: 3 })))
  const wishes = courses.flatMap((course) => Array.from({ length: 12 }, (_, index) => ({ course, student: `${course}-s${index}` })))
  const asked = wishes.map(({ course, student }) => putUntilAnswered(`/courses/${course}/students/${student}`))
  await cluster.killLeader()
  const statuses = await Promise.all(asked)
  const client = connect<CourseEvent>({ nodes: cluster.urls })
  for (const [index, course] of courses.entries()) {
    const students: string[] = []
    for await (const event of client.readStream(streamOf(course))) if (event.type === 'StudentEnrolled') students.push(event.data.student)
    const answered = wishes.flatMap((wish, at) => (wish.course === course && statuses[at] === 200 ? [wish.student] : []))
    expect(students, `course ${index}`).toHaveLength(3)
    expect(students.toSorted()).toEqual(answered.toSorted())
  }
  await client.close()
  expect(statuses.filter((status) => status === 409)).toHaveLength(10 * 9)
})

it('gives a student one seat, who asks for one in every course at once, here and there', { timeout: 120_000 }, async () => {
  const courses = Array.from({ length: 8 }, (_, index) => `d${index}`)
  await Promise.all(courses.map((course) => put(`/courses/${course}`, { seats: 1 })))
  const wishes = courses.flatMap((course) => ['ada', 'grace', 'barbara'].map((student) => `/courses/${course}/students/${student}`))
  const statuses = await Promise.all(wishes.map(putUntilAnswered))
  expect(statuses.filter((status) => status === 200)).toHaveLength(3)
  const seats = (await Promise.all(courses.map(enrolledIn))).flat()
  expect(seats.toSorted()).toEqual(['ada', 'barbara', 'grace'])
  const elsewhere = await put('/courses/c0/students/ada')
  expect(elsewhere).toMatchObject({ status: 409, body: { code: 'seated_elsewhere' } })
})

it('shows in both catalogues what was acknowledged, soon', { timeout: 60_000 }, async () => {
  const full = { seats: 3, taken: 3 }
  for (const { url } of services) {
    await vi.waitFor(
      async () =>
        expect(await courses(url)).toEqual(
          expect.arrayContaining(
            Array.from({ length: 10 }, (_, index) => expect.objectContaining({ course: `c${index}`, ...full }) as unknown),
          ),
        ),
      {
        timeout: 20_000,
        interval: 50,
      },
    )
  }
})

it('resumes its projection after its checkpoint, with nothing twice and nothing left out', { timeout: 120_000 }, async () => {
  const [first, second] = services
  await first.stop()
  const kept = await readCheckpoint(join(folder, 'one'))
  expect(kept?.position).toBe(first.catalogue.position)
  await put('/courses/late', { seats: 2 }, second)
  await put('/courses/late/students/alan', undefined, second)
  await fetch(`${second.url}/courses/c0/students/${(await enrolledIn('c0'))[0]}`, { method: 'DELETE' })
  services[0] = await serve('one')
  const summaries = await courses(services[0].url)
  expect(summaries).toContainEqual({ course: 'late', seats: 2, taken: 1 })
  expect(summaries).toContainEqual({ course: 'c0', seats: 3, taken: 2 })
  expect(summaries).toHaveLength(19)
  expect(services[0].catalogue.position).toBeGreaterThan(kept?.position ?? 0n)
  expect(failures).toEqual([])
})

it('has the first code of the README, which does what it says', { timeout: 120_000 }, async () => {
  const home = join(import.meta.dirname, '..')
  const code = readFileSync(join(home, 'src', 'first-steps.ts'), 'utf8')
  const readme = readFileSync(join(home, '..', '..', 'README.md'), 'utf8')
  expect(/```ts\n(.*?)```/s.exec(readme)?.[1]).toBe(code)
  const nodes = cluster.urls.slice(0, 2).map((url) => `'${url}'`)
  const here = code.replace(/nodes: \[.*?\]/, `nodes: [${nodes.join(', ')}]`)
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module-typescript', '--eval', here], {
    cwd: home,
    timeout: 60_000, // it ends by its own last line
  })
  expect(stdout.split('\n')).toEqual([
    'ada enrolled',
    'grace enrolled',
    'barbara full',
    expect.stringMatching(/^\d+n CourseOpened \{ seats: 2 \}$/),
    expect.stringMatching(/^\d+n StudentEnrolled \{ student: 'ada' \}$/),
    expect.stringMatching(/^\d+n StudentEnrolled \{ student: 'grace' \}$/),
    '',
  ])
})

it('says what is wrong with a request', { timeout: 60_000 }, async () => {
  expect(await put('/courses/x', { seats: 0 })).toMatchObject({ status: 400, body: { code: 'bad_request' } })
  expect(await put('/courses/none/students/ada')).toMatchObject({ status: 404, body: { code: 'not_opened' } })
  expect(await put('/courses/c1', { seats: 4 })).toMatchObject({ status: 409, body: { code: 'opened_otherwise' } })
  expect(await put('/courses/%E0')).toMatchObject({ status: 400, body: { code: 'bad_request' } })
  expect(await put('/somewhere')).toMatchObject({ status: 404, body: { code: 'no_such_route' } })
})

function serve(name: string): Promise<Service> {
  return startService({ nodes: cluster.urls, checkpointFile: join(folder, name), port: 0, onFailure: (error) => failures.push(error) })
}

let turn = 0

async function put(path: string, body?: unknown, service?: Service): Promise<{ status: number; body: unknown }> {
  const { url } = service ?? services[turn++ % 2]!
  const response = await fetch(`${url}${path}`, { method: 'PUT', ...(body !== undefined && { body: JSON.stringify(body) }) })
  return { status: response.status, body: await response.json() }
}

/** As a caller does: a 503 may have happened or not, and is asked again. */
async function putUntilAnswered(path: string): Promise<number> {
  for (;;) {
    const { status } = await put(path)
    if (status !== 503) return status
  }
}

async function courses(url: string): Promise<unknown[]> {
  return ((await (await fetch(`${url}/courses`)).json()) as { courses: unknown[] }).courses
}

async function enrolledIn(course: string): Promise<string[]> {
  await using client = connect<CourseEvent>({ nodes: cluster.urls })
  const students: string[] = []
  for await (const event of client.readStream(streamOf(course))) if (event.type === 'StudentEnrolled') students.push(event.data.student)
  return students
}
