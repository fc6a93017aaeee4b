/** What a process of Synod says when it ends. The supervisor reads the last two. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  /** An option, argument or command that does not exist or makes no sense. */
  usage: 2,
  /** A broken invariant or a dead store while running (EX_SOFTWARE): start it again. */
  nodeFailed: 70,
  /** Its configuration, its store or a package is not what it must be (EX_CONFIG): starting it again changes nothing. */
  nodeRefused: 78,
} as const
