/** Counted since `connect`. */
export interface ClientCounters {
  /** Appends that were acknowledged, and those whose promise was rejected, but for those that were refused before they were taken. */
  appended: number
  appendsFailed: number
  /** Requests sent a second time and more: their node went away, or could not take them. */
  retries: number
  /** Pages read, and events in them and in subscriptions. */
  pagesRead: number
  eventsReceived: number
  /** Subscriptions begun again, mostly on another node. */
  resumptions: number
  /** Greeted by a node. */
  connectionsOpened: number
  /** Of those, ended by the node, the network or its silence; not those closed because they were of no more use. */
  connectionsLost: number
  /** Nobody there, or a node of another cluster. */
  connectionsFailed: number
  framesSent: number
  framesReceived: number
  bytesSent: number
  bytesReceived: number
}

export interface ConnectionStatus {
  /** Of the node's HTTP. */
  readonly url: string
  /** Its id; undefined until it has greeted. */
  readonly node: string | undefined
  readonly state: 'connecting' | 'open'
  /** Whether the node takes appends and linearizable reads. */
  readonly isServing: boolean
  readonly isLeader: boolean
  readonly openRequests: number
}

export interface ClientStatus {
  readonly isClosed: boolean
  /** The cluster's id and its leader's, as far as they are known. */
  readonly cluster: string | undefined
  readonly leader: string | undefined
  readonly connections: readonly ConnectionStatus[]
  readonly appendsInFlight: number
  readonly appendBytesInFlight: number
  readonly appendsWaiting: number
  /** Consumers of groups among them. */
  readonly subscriptions: number
  /** Why the last connection or request failed; undefined when none did. */
  readonly lastProblem: string | undefined
  readonly counters: Readonly<ClientCounters>
}

export function zeroCounters(): ClientCounters {
  return {
    appended: 0,
    appendsFailed: 0,
    retries: 0,
    pagesRead: 0,
    eventsReceived: 0,
    resumptions: 0,
    connectionsOpened: 0,
    connectionsLost: 0,
    connectionsFailed: 0,
    framesSent: 0,
    framesReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
  }
}
