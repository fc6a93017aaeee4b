/**
 * A page in a headless Chromium, driven over its debugging pipe (messages of JSON that end with a NUL). What the page asks for is
 * answered from memory at whatever origin the test chooses; WebSockets go out for real. What comes from memory has no address, so Chromium
 * would ask its user whether it may reach this machine: that is switched off.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { findChromium } from '@synod/servers'

export interface PageFile {
  readonly type: string
  readonly text: string
}

interface Answer {
  readonly id?: number
  readonly method?: string
  readonly sessionId?: string
  readonly params?: Record<string, unknown>
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #profile: string
  readonly #input: Writable
  readonly #waiting = new Map<
    number,
    { readonly resolve: (result: Record<string, unknown>) => void; readonly reject: (error: Error) => void }
  >()
  readonly #pages = new Map<string, (method: string, params: Record<string, unknown>) => void>()
  #lastId = 0

  private constructor(child: ChildProcess, profile: string) {
    this.#child = child
    this.#profile = profile
    this.#input = child.stdio[3] as Writable
    let text = ''
    const output = child.stdio[4] as Readable
    output.setEncoding('utf8').on('data', (more: string) => {
      const parts = (text + more).split('\0')
      text = parts.pop() ?? ''
      for (const part of parts) this.#onMessage(JSON.parse(part) as Answer)
    })
    child.once('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`Chromium ended with ${code ?? signal}`))
    })
  }

  static async start(): Promise<Browser> {
    const chromium = await findChromium()
    const profile = mkdtempSync(join(tmpdir(), 'synod-chromium-'))
    const options = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-dev-shm-usage',
      '--remote-debugging-pipe',
      '--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets',
    ]
    const child = spawn(chromium.path, [...options, `--user-data-dir=${profile}`, 'about:blank'], {
      env: { ...process.env, ...chromium.environment },
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    })
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
    return new Browser(child, profile)
  }

  /** Loads `url`; everything below its origin is answered by `serve`, undefined is 404. */
  async open(url: string, serve: (path: string) => PageFile | undefined): Promise<Page> {
    const { targetId } = await this.#call('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = (await this.#call('Target.attachToTarget', { targetId, flatten: true })) as { sessionId: string }
    const call = (method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> =>
      this.#call(method, params, sessionId)
    const page = new Page(call)
    this.#pages.set(sessionId, (method, params) => {
      if (method === 'Runtime.exceptionThrown') page.problems.push(JSON.stringify(params))
      if (method !== 'Fetch.requestPaused') return
      const { requestId, request } = params as { requestId: string; request: { url: string } }
      const file = serve(new URL(request.url).pathname)
      const responseHeaders = [{ name: 'content-type', value: file?.type ?? 'text/plain' }]
      const body = Buffer.from(file?.text ?? 'not here').toString('base64')
      call('Fetch.fulfillRequest', { requestId, responseCode: file === undefined ? 404 : 200, responseHeaders, body }).catch(
        (error: Error) => page.problems.push(error.message),
      )
    })
    await call('Runtime.enable')
    await call('Fetch.enable', { patterns: [{ urlPattern: `${new URL(url).origin}/*` }] })
    await call('Page.navigate', { url })
    return page
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL')
      await ended
    }
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 })
  }

  #call(method: string, params: Record<string, unknown>, sessionId?: string): Promise<Record<string, unknown>> {
    const id = ++this.#lastId
    this.#input.write(`${JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) })}\0`)
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
  }

  #onMessage({ id, method, sessionId, params, result, error }: Answer): void {
    if (id === undefined) {
      if (sessionId !== undefined && method !== undefined) this.#pages.get(sessionId)?.(method, params ?? {})
      return
    }
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) waiting?.resolve(result ?? {})
    else waiting?.reject(new Error(error.message))
  }
}

export class Page {
  /** Exceptions that nobody caught, and files that could not be served. */
  readonly problems: string[] = []
  readonly #call: (method: string, params?: Record<string, unknown>) => Promise<Record<string, unknown>>

  constructor(call: (method: string, params?: Record<string, unknown>) => Promise<Record<string, unknown>>) {
    this.#call = call
  }

  /** The value of an expression in the page, awaited; it has to be JSON. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.#call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    if (exceptionDetails !== undefined) throw new Error(`in the page: ${JSON.stringify(exceptionDetails)}; ${this.problems.join('; ')}`)
    return (result as { value?: unknown }).value
  }
}
