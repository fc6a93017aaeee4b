/** Protocol messages that go to one peer in one turn share a frame: (length u32 · message)… */
import { ByteReader, MalformedError, type Bytes } from '@synod/codec'

export function encodeBatch(messages: readonly Bytes[]): Bytes {
  const batch = new Uint8Array(messages.reduce((sum, message) => sum + 4 + message.length, 0))
  const view = new DataView(batch.buffer)
  let at = 0
  for (const message of messages) {
    view.setUint32(at, message.length)
    batch.set(message, at + 4)
    at += 4 + message.length
  }
  return batch
}

/** Undefined when malformed. Views, not copies. */
export function decodeBatch(body: Bytes): Bytes[] | undefined {
  const reader = new ByteReader(body)
  const messages: Bytes[] = []
  try {
    while (reader.remaining > 0) messages.push(reader.bytes())
  } catch (error) {
    if (error instanceof MalformedError) return undefined
    throw error
  }
  return messages
}
