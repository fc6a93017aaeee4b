import { TransportError, type NodeId } from '@synod/transport'

/** Where a node listens. */
export interface Address {
  readonly host: string
  readonly port: number
  /** As it was written, for messages. */
  readonly text: string
}

/** `host:port`, an IPv6 host in brackets. Throws a TransportError `invalid_options` that names the node. */
export function parseAddress(node: NodeId, text: string): Address {
  const parts = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([^\s:[\]/@]+)):(\d{1,5})$/.exec(text)
  const port = Number(parts?.[3])
  const host = parts?.[1] ?? parts?.[2]
  if (host === undefined || port < 1 || port > 65_535)
    throw new TransportError(
      'invalid_options',
      `the address of ${node} must be host:port with a port in 1..65535, not ${JSON.stringify(text)}`,
    )
  return { host, port, text }
}

/** A node id fits into the greeting. Throws a TransportError `invalid_options`. */
export function checkNodeId(node: NodeId): NodeId {
  if (!/^[a-z0-9-]{1,64}$/.test(node))
    throw new TransportError('invalid_options', `a node id is 1 to 64 of a-z, 0-9 and -, not ${JSON.stringify(node)}`)
  return node
}
