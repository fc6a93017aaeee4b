/** Everything a NATS transport counts; the names become metric labels, so they are the contract of this file. */
export type Counters = ReturnType<typeof countersFromZero>
export type PeerCounters = ReturnType<typeof peerCountersFromZero>

/** Of one peer. A node's own counters have their sums. */
export function peerCountersFromZero() {
  return {
    framesSent: 0,
    framesReceived: 0,
    /** Of messages with frames, headers included. */
    bytesSent: 0,
    bytesReceived: 0,
    messagesSent: 0,
    messagesReceived: 0,
    /** No connection to a server, or the peer does not answer. */
    droppedUnreachable: 0,
    /** More than `queueBytesMax` wait for the peer. */
    droppedQueueFull: 0,
    /** The server takes only smaller messages, and said so after the frame was sent. */
    droppedTooLargeForServer: 0,
    /** Received: sent on an earlier connection of the peer than others that came before. */
    droppedStale: 0,
    /** The peer answered, and is sent frames from then on. */
    linksOpened: 0,
    linksClosed: 0,
    /** Of these, closed because the peer did not answer two probes. */
    linksSilent: 0,
    /** The peer's subject led to another node, or to a node that does not know this one. */
    linksMisdirected: 0,
  }
}

export function sumOf(all: Iterable<PeerCounters>): PeerCounters {
  const sum = peerCountersFromZero()
  const names = Object.keys(sum) as (keyof PeerCounters)[]
  for (const one of all) for (const name of names) sum[name] += one[name]
  return sum
}

/** Of no peer in particular. */
export function countersFromZero() {
  return {
    /** The frame arrived before there was a listener. */
    droppedNoListener: 0,
    /** Connections to a server. */
    connectionsOpened: 0,
    connectionsClosed: 0,
    /** Of these, left because the server did not answer two probes. */
    connectionsSilent: 0,
    /** Attempts to connect that came to nothing: refused, timed out, not resolved, not let in. */
    dialsFailed: 0,
    /** Messages on this node's subject that no node sends. */
    messagesMalformed: 0,
    /** Messages of a node that is not a peer. */
    messagesFromStrangers: 0,
    /** Messages that are for another node. */
    messagesMisaddressed: 0,
    messagesOfOtherVersion: 0,
    /** Errors that the server reports, such as a missing permission. */
    serverErrors: 0,
  }
}
