/**
 * `GET /cluster` is what this node knows, and what the others say of themselves: each is asked for its own part at `GET /node`,
 * in parallel and for a moment only, so that the answer comes without a quorum too.
 */
import { z } from 'zod'
import type { FastifyInstance } from 'fastify'
import type { NodeView } from '../node/node-view.ts'
import { parseQuery } from './query.ts'

const peerMillisecondsMax = 500

const nodePart = z.object({
  cluster: z.string(),
  id: z.string(),
  pid: z.int(),
  state: z.string(),
  decidedSlot: z.int(),
  appliedSlot: z.int(),
  position: z.int(),
})

interface NodeLine {
  readonly id: string
  readonly url: string
  /** The process that serves that port now; null when it cannot be reached. */
  readonly pid: number | null
  readonly state: string
  readonly decidedSlot: number | null
  readonly appliedSlot: number | null
  readonly position: number | null
}

export function clusterRoutes(app: FastifyInstance, node: NodeView): void {
  app.get('/node', (request) => {
    parseQuery(request.raw.url ?? '', [])
    return ownPart(node)
  })
  app.get('/cluster', async (request) => {
    parseQuery(request.raw.url ?? '', [])
    const nodes = await Promise.all(
      node.members.map((member) => (member.id === node.id ? Promise.resolve(ownLine(node, member.url)) : peerLine(node, member))),
    )
    const { role, leader, protocol, mode, epoch } = node.status()
    return { cluster: node.cluster, id: node.id, role, leader, protocol, mode, transport: node.transport, epoch, nodes }
  })
}

function ownPart(node: NodeView): Record<string, unknown> {
  const { state, why, decidedSlot, appliedSlot, position } = node.status()
  return {
    cluster: node.cluster,
    id: node.id,
    pid: process.pid,
    state,
    ...(why !== undefined && { why }),
    decidedSlot,
    appliedSlot,
    position,
  }
}

function ownLine(node: NodeView, url: string): NodeLine {
  const { state, decidedSlot, appliedSlot, position } = node.status()
  return { id: node.id, url, pid: process.pid, state, decidedSlot, appliedSlot, position }
}

async function peerLine(node: NodeView, member: { readonly id: string; readonly url: string }): Promise<NodeLine> {
  const unreachable = {
    id: member.id,
    url: member.url,
    pid: null,
    state: 'unreachable',
    decidedSlot: null,
    appliedSlot: null,
    position: null,
  }
  try {
    const response = await fetch(new URL('/node', member.url), { signal: AbortSignal.timeout(peerMillisecondsMax) })
    const part = nodePart.parse(await response.json())
    // Somebody else at that port is not the member.
    if (part.id !== member.id || part.cluster !== node.cluster) return unreachable
    const { pid, state, decidedSlot, appliedSlot, position } = part
    return { id: member.id, url: member.url, pid, state, decidedSlot, appliedSlot, position }
  } catch {
    return unreachable // down, cut off, too slow, or no node: all the same to who asks now
  }
}
