/**
 * What a client and a node say to each other, version 1 (docs/client-protocol.md). One WebSocket carries everything: each
 * request has a number that the client draws, unique among those open on its connection, and answers carry it. Events travel
 * as records (@synod/event-record), encoded by the client that appends them and decoded by the one that reads them.
 */
import type { Bytes } from '@synod/codec'

/** Of the WebSocket handshake. A node that does not know it refuses the connection. */
export const subprotocol = 'synod.v1'
/** Where a node takes these connections. */
export const connectionPath = '/connection'

/** A request's number: 1 to 2^32 - 1. 0 stands for the connection itself. */
export type RequestNumber = number

export type Expected = 'any' | 'noStream' | 'streamExists' | number

/** Where a subscription begins. */
export type Start =
  | { readonly kind: 'beginning' }
  /** Inclusive: a revision when a stream is named, else a position. */
  | { readonly kind: 'from'; readonly from: number }
  /** Resume after this *position*, in a stream too. */
  | { readonly kind: 'afterPosition'; readonly position: number }

/** An event matches when its type is one of the types and it has each of the tags. What is absent or empty asks for nothing. */
export interface QueryItem {
  readonly types?: readonly string[]
  readonly tags?: readonly string[]
}

/** What is there passes when every part that is given lets it. An empty list is the same as none. */
export interface EventFilter {
  /** Any of the items. */
  readonly items?: readonly QueryItem[]
  /** The stream's name begins with one of these. */
  readonly prefixes?: readonly string[]
  /** The part of the stream's name before the first `-` is one of these. */
  readonly categories?: readonly string[]
}

/** Nothing is appended when an event matches one of the items, of which there is at least one. */
export interface AppendCondition {
  readonly failIfEventsMatch: { readonly items: readonly QueryItem[] }
  /** Events at or below this position do not count. Absent: all count. */
  readonly after?: number
}

/** A stream that is not written, and must be as expected all the same. */
export interface StreamCheck {
  readonly stream: string
  readonly expected: Expected
}

export interface StreamWrite {
  readonly stream: string
  readonly expected: Expected
  /** At least one, as in an append. */
  readonly records: readonly Bytes[]
}

/** `retry`: deliver again (after the last attempt: park). `park`: set aside, and with it the later events of its key. `skip`: done with it. */
export type Rejection = 'retry' | 'park' | 'skip'

export type ClientMessage =
  | {
      readonly kind: 'append'
      readonly request: RequestNumber
      readonly stream: string
      readonly expected: Expected
      /** At least one. Their ids are the append's identity: a retry sends the same records. */
      readonly records: readonly Bytes[]
    }
  | {
      readonly kind: 'read'
      readonly request: RequestNumber
      /** Absent: all streams. */
      readonly stream?: string
      /** Inclusive. Absent: the beginning, or the end when backward. */
      readonly from?: number
      readonly direction: 'forward' | 'backward'
      /** Events at most; the page may hold fewer, and only an empty page is the end. */
      readonly limit: number
      readonly consistency: 'linearizable' | 'local'
      /** The node answers when it has applied this position. */
      readonly atLeast?: number
    }
  | {
      readonly kind: 'subscribe'
      readonly request: RequestNumber
      readonly stream?: string
      readonly start: Start
      /** Bytes of records that the node may send before it gets more `credit`. */
      readonly creditBytes: number
    }
  | { readonly kind: 'credit'; readonly request: RequestNumber; readonly bytes: number }
  /** The client wants no more of this request. An append that is under way may still happen. */
  | { readonly kind: 'cancel'; readonly request: RequestNumber }
  /** Several streams, all or nothing. */
  | {
      readonly kind: 'appendAtomically'
      readonly request: RequestNumber
      /** At least one; each stream once, in writes and checks together. */
      readonly writes: readonly StreamWrite[]
      readonly checks: readonly StreamCheck[]
      readonly condition?: AppendCondition
    }
  /** Of all streams, what passes the filter. Answered by a `queryPage`. */
  | {
      readonly kind: 'query'
      readonly request: RequestNumber
      readonly filter: EventFilter
      /** A position, inclusive. Absent: the beginning, or the end when backward. */
      readonly from?: number
      readonly direction: 'forward' | 'backward'
      /** Events that pass, at most. */
      readonly limit: number
      readonly consistency: 'linearizable' | 'local'
      readonly atLeast?: number
    }
  /** Of all streams, what passes the filter. Answered as a subscription. */
  | {
      readonly kind: 'subscribeFiltered'
      readonly request: RequestNumber
      readonly filter: EventFilter
      readonly start: Start
      readonly creditBytes: number
    }
  /** Joins a consumer group. `credit` and `cancel` as of a subscription. */
  | {
      readonly kind: 'consume'
      readonly request: RequestNumber
      readonly group: string
      /** Names it in the group's status. Absent: drawn by the node. */
      readonly consumer?: string
      readonly creditBytes: number
    }
  /** Of a `consume` that is open; what came of it is told by `settled` and `stale`. */
  | { readonly kind: 'acknowledge'; readonly request: RequestNumber; readonly generation: number; readonly positions: readonly number[] }
  | {
      readonly kind: 'reject'
      readonly request: RequestNumber
      readonly generation: number
      readonly position: number
      readonly rejection: Rejection
      /** Kept with a parked event; may be empty. */
      readonly reason: string
    }
  /** What is asked for rarely: methods and arguments are in docs/client-protocol.md. Answered by a `result`. */
  | {
      readonly kind: 'call'
      readonly request: RequestNumber
      readonly method: string
      /** JSON text, an object. */ readonly argument: string
    }
  /** Answered by `pong`, whatever else is going on: a client that hears nothing for long tries another node. */
  | { readonly kind: 'ping' }

/** An event where it stands. */
export interface StoredRecord {
  readonly stream: string
  readonly revision: number
  readonly position: number
  readonly record: Bytes
}

/** An event as a consumer group delivers it. */
export interface GroupRecord extends StoredRecord {
  readonly partition: number
  /** 1 at the first delivery. */
  readonly attempt: number
}

export interface Member {
  readonly id: string
  /** Of its HTTP; the connection is at `connectionPath` there. */
  readonly url: string
}

export type NodeMessage =
  /** The first message, and again whenever something of it changes. */
  | {
      readonly kind: 'topology'
      readonly cluster: string
      readonly node: string
      readonly members: readonly Member[]
      /** Appends are quickest there. Absent: none known, or the protocol has none. */
      readonly leader?: string
      /** Whether this node takes appends and linearizable reads now. */
      readonly isServing: boolean
    }
  /** Of the append's last event. */
  | { readonly kind: 'appended'; readonly request: RequestNumber; readonly revision: number; readonly position: number }
  /** The end of a request that failed. `code` and `message` are those of HTTP; `details` too, as JSON. */
  | { readonly kind: 'refused'; readonly request: RequestNumber; readonly code: string; readonly message: string; readonly details: string }
  /** The answer to a read; empty at the end. */
  | { readonly kind: 'page'; readonly request: RequestNumber; readonly events: readonly StoredRecord[] }
  /** The next events of a subscription. */
  | { readonly kind: 'events'; readonly request: RequestNumber; readonly events: readonly StoredRecord[] }
  | { readonly kind: 'caughtUp'; readonly request: RequestNumber; readonly position: number }
  | { readonly kind: 'fellBehind'; readonly request: RequestNumber; readonly position: number; readonly lag: number }
  | { readonly kind: 'checkpoint'; readonly request: RequestNumber; readonly position: number }
  | { readonly kind: 'pong' }
  /** `position` is that of the last event; the revisions are those of each stream's last event, in the order of the writes. */
  | {
      readonly kind: 'atomicallyAppended'
      readonly request: RequestNumber
      readonly position: number
      readonly revisions: readonly number[]
    }
  /** The answer to a query. Empty and not the end is possible: go on behind `considered`. */
  | {
      readonly kind: 'queryPage'
      readonly request: RequestNumber
      readonly events: readonly StoredRecord[]
      /** Forward: every event at or below was considered; backward: every one at or above. */
      readonly considered: number
      readonly isEnd: boolean
    }
  /** From here on these partitions are this consumer's, and those that it had before and that are not here are not. */
  | { readonly kind: 'assigned'; readonly request: RequestNumber; readonly generation: number; readonly partitions: readonly number[] }
  | { readonly kind: 'groupEvents'; readonly request: RequestNumber; readonly generation: number; readonly events: readonly GroupRecord[] }
  /** Replicated: these will not come again. */
  | { readonly kind: 'settled'; readonly request: RequestNumber; readonly generation: number; readonly positions: readonly number[] }
  /** Of an earlier generation, or not this consumer's: they had no effect. */
  | { readonly kind: 'stale'; readonly request: RequestNumber; readonly generation: number; readonly positions: readonly number[] }
  /** The answer to a call: JSON text. */
  | { readonly kind: 'result'; readonly request: RequestNumber; readonly result: string }
