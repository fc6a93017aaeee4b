/**
 * The metrics of one node, in Prometheus' text form. Some are read at a scrape (sampled-metrics.ts); those here are counted
 * as things happen, once an operation or a batch, never once an event.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'
import { takeSample, type MetricsSource, type Sample, type SurfaceCounters } from './metrics-source.ts'
import { sampledMetrics, type SampledMetric } from './sampled-metrics.ts'

export interface NodeMetricsOptions {
  /** Those of the process too: memory, CPU, event loop, garbage collection. They belong to one registry of a process. */
  readonly process?: boolean
}

const answerSeconds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4]
const commitSeconds = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]
const batchCommands = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
const batchBytes = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 12_582_912]

export class NodeMetrics {
  readonly contentType: string
  readonly #source: MetricsSource
  readonly #registry = new Registry()
  #surface: () => Promise<SurfaceCounters> = () => Promise.resolve({ http: {}, clients: {}, groups: [] })
  #sample: Sample | undefined
  /** By labels: looking a child up by them costs more than observing. */
  readonly #observers = new Map<string, { observe(value: number): void }>()
  readonly #appends = new Histogram({
    name: 'synod_append_seconds',
    help: 'From an append’s arrival at the store until its answer, by outcome: appended, or the code of the refusal.',
    labelNames: ['outcome'],
    buckets: answerSeconds,
    registers: [this.#registry],
  })
  readonly #reads = new Histogram({
    name: 'synod_read_seconds',
    help: 'From a read’s arrival at the store until its page is there, by what is read, how, and outcome: ok, or the code of the refusal.',
    labelNames: ['what', 'consistency', 'outcome'],
    buckets: answerSeconds,
    registers: [this.#registry],
  })
  readonly #batchCommands = new Histogram({
    name: 'synod_batch_commands',
    help: 'Commands in an entry that this node offered: one slot.',
    buckets: batchCommands,
    registers: [this.#registry],
  })
  readonly #batchBytes = new Histogram({
    name: 'synod_batch_bytes',
    help: 'Bytes of such an entry.',
    buckets: batchBytes,
    registers: [this.#registry],
  })
  readonly #commits = new Histogram({
    name: 'synod_store_commit_seconds',
    help: 'A transaction of the log’s store, from handing it to the database until it is durable: the fsync and the way there.',
    buckets: commitSeconds,
    registers: [this.#registry],
  })
  readonly #answers = new Counter({
    name: 'synod_http_answers_total',
    help: 'Answers over HTTP, by route and status; a subscription counts when it ends.',
    labelNames: ['method', 'route', 'status'],
    registers: [this.#registry],
  })
  readonly #refused = new Counter({
    name: 'synod_refused_total',
    help: 'Requests that were refused, by code.',
    labelNames: ['code'],
    registers: [this.#registry],
  })
  readonly #conditions = new Counter({
    name: 'synod_conditional_appends_total',
    help: 'Appends with a condition, by outcome: appended, condition_failed, or another code of the refusal.',
    labelNames: ['outcome'],
    registers: [this.#registry],
  })
  readonly #leaderChanges = new Counter({
    name: 'synod_leader_changes_total',
    help: 'How often this node saw another leader than the one before.',
    registers: [this.#registry],
  })

  constructor(source: MetricsSource, { process = false }: NodeMetricsOptions = {}) {
    this.#source = source
    this.contentType = this.#registry.contentType
    for (const metric of sampledMetrics) this.#register(metric)
    if (process) collectDefaultMetrics({ register: this.#registry })
  }

  async text(): Promise<string> {
    this.#sample = takeSample(this.#source, await this.#surface())
    return this.#registry.metrics()
  }

  /** Where to look for what the surface holds. */
  watchSurface(counters: () => Promise<SurfaceCounters>): void {
    this.#surface = counters
  }

  appended(outcome: string, milliseconds: number): void {
    this.#observer(outcome, () => this.#appends.labels({ outcome })).observe(milliseconds / 1000)
  }

  appendedConditionally(outcome: string): void {
    this.#conditions.inc({ outcome })
  }

  read(what: 'stream' | 'all', consistency: string, outcome: string, milliseconds: number): void {
    const key = `${what} ${consistency} ${outcome}`
    this.#observer(key, () => this.#reads.labels({ what, consistency, outcome })).observe(milliseconds / 1000)
  }

  batch({ commands, bytes }: { readonly commands: number; readonly bytes: number }): void {
    this.#batchCommands.observe(commands)
    this.#batchBytes.observe(bytes)
  }

  committed({ milliseconds }: { readonly milliseconds: number }): void {
    this.#commits.observe(milliseconds / 1000)
  }

  /** `route` as it was declared, never as it was asked for: there are few of them. */
  answered(method: string, route: string, status: number): void {
    this.#answers.inc({ method, route, status })
  }

  refused(code: string): void {
    this.#refused.inc({ code })
  }

  leaderChanged(): void {
    this.#leaderChanges.inc()
  }

  #observer(key: string, make: () => { observe(value: number): void }): { observe(value: number): void } {
    let observer = this.#observers.get(key)
    if (observer === undefined) this.#observers.set(key, (observer = make()))
    return observer
  }

  #register({ name, help, type, labels, read }: SampledMetric): void {
    const values = (): ReturnType<SampledMetric['read']> => (this.#sample === undefined ? [] : read(this.#sample))
    const common = { name, help, labelNames: labels, registers: [this.#registry] }
    if (type === 'counter') {
      const metric: Counter<string> = new Counter<string>({
        ...common,
        collect() {
          metric.reset()
          if (labels.length === 0) metric.remove({})
          for (const [of, value] of values()) metric.inc(of, value)
        },
      })
    } else {
      const metric: Gauge<string> = new Gauge<string>({
        ...common,
        collect() {
          metric.reset()
          if (labels.length === 0) metric.remove({})
          for (const [of, value] of values()) metric.set(of, value)
        },
      })
    }
  }
}
