/** What a process of Synod says when it ends (docs/command-line.md). The supervisor reads the two at 70 and 78. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  /** An option, argument or command that does not exist or makes no sense. */
  usage: 2,
  /** The stream was not as expected, or event ids stand elsewhere: nothing was written. */
  conflict: 3,
  /** The stream has no events. */
  notFound: 4,
  /** No node answered in time, or all had too much under way (EX_UNAVAILABLE): try again. */
  unavailable: 69,
  /** A broken invariant or a dead store while running (EX_SOFTWARE): start it again. */
  nodeFailed: 70,
  /** Its configuration, its store or a package is not what it must be (EX_CONFIG): starting it again changes nothing. */
  nodeRefused: 78,
  /** Ctrl-C. Another signal is 128 and its number, as shells say it. */
  interrupted: 130,
} as const
