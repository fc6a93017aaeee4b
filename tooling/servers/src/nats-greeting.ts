import { connect } from 'node:net'

const greetingBytesMax = 64 * 1024

/** The name that the NATS server at this place gives itself, or undefined if none answers within a second. A server that takes clients sends `INFO {…}` first. */
export function natsNameAt(host: string, port: number): Promise<string | undefined> {
  return new Promise((settle) => {
    const socket = connect({ host, port })
    let text = ''
    const finish = (name: string | undefined): void => {
      socket.destroy()
      settle(name)
    }
    socket.setEncoding('latin1').on('data', (more: string) => {
      text += more
      if (text.includes('\r\n') || text.length > greetingBytesMax) finish(nameIn(text))
    })
    socket.once('error', () => finish(undefined))
    socket.once('close', () => settle(undefined))
    // Not the socket's own time-out, which starts again with every byte.
    const late = setTimeout(() => finish(undefined), 1_000)
    socket.once('close', () => clearTimeout(late))
  })
}

function nameIn(greeting: string): string | undefined {
  const json = /^INFO (\{.*\})\s*\r\n/.exec(greeting)?.[1]
  if (json === undefined) return undefined
  try {
    const { server_name: name } = JSON.parse(json) as { server_name?: unknown }
    return typeof name === 'string' ? name : ''
  } catch {
    return undefined // something else that begins like a NATS server
  }
}
