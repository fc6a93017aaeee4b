/**
 * The address of a node over NATS: where it connects, and the subject on which it hears.
 *
 *   nats://host:port[,host:port…]/subject      nats://10.0.0.9:4222,10.0.0.10:4222/synod.orders.n1
 *
 * A node connects to the servers of its own address, tried in the order given, and publishes to the subjects of the others;
 * so nodes may sit at different servers of one NATS cluster. Names and passwords are options, never part of an address.
 */
import { TransportError, type NodeId } from '@synod/transport'

export interface Address {
  /** `host:port`, one at least. */
  readonly servers: readonly string[]
  readonly subject: string
  /** As it was written, for messages. */
  readonly text: string
}

const subjectCharactersMax = 200
const serversMax = 16
const form = 'nats://host:port[,host:port…]/subject, as in nats://127.0.0.1:4222/synod.orders.n1'

/** Throws a TransportError `invalid_options` that names the node. */
export function parseAddress(node: NodeId, text: string): Address {
  const refuse = (why: string): TransportError =>
    new TransportError('invalid_options', `the address of ${node} must be ${form}, not ${JSON.stringify(text)}: ${why}`)
  const parts = /^nats:\/\/([^/]*)\/(.*)$/s.exec(text)
  if (parts === null) throw refuse('it does not begin with nats://, or has no subject after a slash')
  const servers = (parts[1] ?? '').split(',')
  if (servers.length > serversMax) throw refuse(`${servers.length} servers are too many, ${serversMax} are allowed`)
  for (const server of servers) if (!isServer(server)) throw refuse(`${JSON.stringify(server)} is no host:port with a port in 1..65535`)
  const subject = parts[2] ?? ''
  if (!isSubject(subject))
    throw refuse(`a subject is words of A-Z, a-z, 0-9, _ and - with dots between them, at most ${subjectCharactersMax} characters`)
  return { servers, subject, text }
}

/** Of what a node may hear on: no wildcards, no empty words. */
export function isSubject(text: string): boolean {
  return text.length <= subjectCharactersMax && /^[\w-]+(?:\.[\w-]+)*$/.test(text)
}

/** A node id fits into a message. Throws a TransportError `invalid_options`. */
export function checkNodeId(node: NodeId): NodeId {
  if (!isNodeId(node)) throw new TransportError('invalid_options', `a node id is 1 to 64 of a-z, 0-9 and -, not ${JSON.stringify(node)}`)
  return node
}

export function isNodeId(text: string): boolean {
  return /^[a-z0-9-]{1,64}$/.test(text)
}

function isServer(text: string): boolean {
  const port = /^(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})$/.exec(text)?.[1]
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535
}
