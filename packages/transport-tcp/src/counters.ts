/** Everything a TCP transport counts; the names become metric labels, so they are the contract of this file. */
export type Counters = ReturnType<typeof countersFromZero>
export type PeerCounters = ReturnType<typeof peerCountersFromZero>

/** Of one peer. A node's own counters have their sums. */
export function peerCountersFromZero() {
  return {
    framesSent: 0,
    framesReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    /** No connection to the peer when the frame was sent. */
    droppedUnreachable: 0,
    /** More than `queueBytesMax` wait for the peer. */
    droppedQueueFull: 0,
    /** The peer takes only smaller frames: its `frameBytesMax` differs. */
    droppedTooLargeForPeer: 0,
  }
}

export function addUp(all: Iterable<PeerCounters>): PeerCounters {
  const sum = peerCountersFromZero()
  for (const one of all) for (const name of Object.keys(sum) as (keyof PeerCounters)[]) sum[name] += one[name]
  return sum
}

/** Of no peer in particular. */
export function countersFromZero() {
  return {
    /** The frame arrived before there was a listener. */
    droppedNoListener: 0,
    /** Connections to peers that were greeted and welcomed. */
    linksOpened: 0,
    linksClosed: 0,
    /** Of these, closed because nothing was heard for two probes. */
    linksSilent: 0,
    /** Attempts to connect that came to nothing: refused, timed out, not resolved. */
    dialsFailed: 0,
    /** The peer's address led to another node, to a node that does not know this one, or to something else. */
    dialsMisdirected: 0,
    accepted: 0,
    /** Connections whose first bytes were no greeting. */
    strangersMalformed: 0,
    /** Connections that did not greet in time. */
    strangersLate: 0,
    /** Connections closed to make room for newer ones. */
    strangersEvicted: 0,
    /** Greetings that wanted another node, or came from a node that is not a peer or speaks another version. */
    strangersRefused: 0,
    /** Accepted links of a peer closed because newer ones with its name came. */
    linksSuperseded: 0,
    /** Links closed because of a length that no peer sends. */
    framesMalformed: 0,
    /** Errors of the listening socket, such as too many open files. */
    acceptErrors: 0,
  }
}
