/** What `GET /cluster` answers, for whoever asks it from outside the node. */
import { z } from 'zod'

export const clusterAnswer = z.object({
  cluster: z.string(),
  id: z.string(),
  role: z.string(),
  leader: z.string().nullable(),
  protocol: z.string(),
  mode: z.string(),
  transport: z.string(),
  epoch: z.int(),
  nodes: z.array(
    z.object({
      id: z.string(),
      url: z.string(),
      pid: z.int().nullable(),
      state: z.string(),
      decidedSlot: z.int().nullable(),
      appliedSlot: z.int().nullable(),
      position: z.int().nullable(),
    }),
  ),
})

export type ClusterAnswer = z.infer<typeof clusterAnswer>
export type ClusterNode = ClusterAnswer['nodes'][number]
