/**
 * A projection: the list of all courses with the seats that are left, which no single stream holds. It follows the streams of courses
 * from its checkpoint on, which moves with what others append, too: a restart takes as long as what it missed, and the list is
 * at most a moment behind what was acknowledged.
 *
 * An event may come again after a crash, between an event and the checkpoint that holds it. The view is written with the position
 * that it stands at, and continues behind that position: each event is in it once.
 */
import type { Client } from '@synod/client'
import { readCheckpoint, writeCheckpoint } from './checkpoint-file.ts'
import { category, courseOf, type CourseEvent } from './course-event.ts'

export interface CourseSummary {
  readonly course: string
  readonly seats: number
  readonly taken: number
}

export class Catalogue {
  readonly #client: Client<CourseEvent>
  readonly #file: string
  readonly #courses = new Map<string, CourseSummary>()
  readonly #ending = new AbortController()
  #position = 0n
  #saved = 0n
  #following: Promise<void> = Promise.resolve()

  private constructor(client: Client<CourseEvent>, file: string) {
    this.#client = client
    this.#file = file
  }

  /**
   * Settles when the view holds everything that was in the store at the start. `onFailure` gets the error that ends it, and then the
   * process should end too: whoever runs it starts it again from the checkpoint.
   */
  static async start(client: Client<CourseEvent>, file: string, onFailure: (error: unknown) => void): Promise<Catalogue> {
    const catalogue = new Catalogue(client, file)
    const checkpoint = await readCheckpoint(file)
    for (const summary of checkpoint?.courses ?? []) catalogue.#courses.set(summary.course, summary)
    catalogue.#position = catalogue.#saved = checkpoint?.position ?? 0n
    const caughtUp = Promise.withResolvers<void>()
    catalogue.#following = catalogue.#follow(caughtUp.resolve).catch((error: unknown) => {
      caughtUp.reject(error)
      if (!catalogue.#ending.signal.aborted) onFailure(error)
    })
    await caughtUp.promise
    return catalogue
  }

  /** The position of the last event that was considered. */
  get position(): bigint {
    return this.#position
  }

  list(): CourseSummary[] {
    return [...this.#courses.values()].toSorted((a, b) => a.course.localeCompare(b.course))
  }

  /** Ends following, with the checkpoint written. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#following
    await this.#save()
  }

  async #follow(onCaughtUp: () => void): Promise<void> {
    for await (const message of this.#client.subscribe({
      after: this.#position,
      filter: { categories: [category] },
      signal: this.#ending.signal,
    })) {
      if (message.kind === 'event') {
        this.#apply(message.event.stream, message.event)
        this.#position = message.event.position
      } else if (message.kind !== 'fellBehind') {
        // Nothing of ours up to here, or all of it applied: a good moment to save.
        this.#position = message.position
        await this.#save()
        if (message.kind === 'caughtUp') onCaughtUp()
      }
    }
  }

  #apply(stream: string, event: CourseEvent): void {
    const course = courseOf(stream)
    if (course === undefined) return
    const before = this.#courses.get(course)
    if (event.type === 'CourseOpened') this.#courses.set(course, { course, seats: event.data.seats, taken: 0 })
    else if (event.type === 'StudentEnrolled') this.#change(before, 1)
    else if (event.type === 'StudentWithdrew') this.#change(before, -1)
  }

  #change(before: CourseSummary | undefined, by: number): void {
    if (before !== undefined) this.#courses.set(before.course, { ...before, taken: before.taken + by })
  }

  async #save(): Promise<void> {
    if (this.#position === this.#saved) return
    await writeCheckpoint(this.#file, { position: this.#position, courses: this.list() })
    this.#saved = this.#position
  }
}
