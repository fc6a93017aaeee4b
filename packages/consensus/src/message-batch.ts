/** Protocol messages that go to one peer in one turn share a frame: (length u32 · message)… */
import { ByteReader, ByteWriter, MalformedError, type Bytes } from '@synod/codec'

/** In pieces, for the network to join: a message may be large. */
export function encodeBatch(messages: readonly Bytes[]): readonly Bytes[] {
  return messages.flatMap((message) => [new ByteWriter(4).u32(message.length).finish(), message])
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
