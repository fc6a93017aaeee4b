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
  /** Answered by `pong`, whatever else is going on: a client that hears nothing for long tries another node. */
  | { readonly kind: 'ping' }

/** An event where it stands. */
export interface StoredRecord {
  readonly stream: string
  readonly revision: number
  readonly position: number
  readonly record: Bytes
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
