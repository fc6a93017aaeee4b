/**
 * How the types of events flow. They are declared once: as a union of `{ type, data, metadata? }`, which is taken on trust, or as a map
 * of Standard Schemas, which is checked. An event is stored as it was given, so with a schema that transforms, what is appended
 * has the type of its input, and what is read that of its output.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'

/** What every event looks like. Data and metadata are what JSON can carry. */
export interface EventType {
  readonly type: string
  readonly data: unknown
  readonly metadata?: unknown
}

/** The schema of each type's `data`, by the type's name. */
export type EventSchemas = Readonly<Record<string, StandardSchemaV1>>

/** The events that can be appended by a client with these schemas. */
export type InputsOf<S extends EventSchemas> = {
  readonly [T in keyof S & string]: { readonly type: T; readonly data: StandardSchemaV1.InferInput<S[T]>; readonly metadata?: unknown }
}[keyof S & string]

/** The events that are read by a client with these schemas. */
export type OutputsOf<S extends EventSchemas> = {
  readonly [T in keyof S & string]: { readonly type: T; readonly data: StandardSchemaV1.InferOutput<S[T]>; readonly metadata?: unknown }
}[keyof S & string]

/** An event to append: of a declared type, with an id and tags if need be. */
export type NewEvent<E extends EventType = EventType> = E extends EventType
  ? Pick<E, 'type' | 'data' | Extract<keyof E, 'metadata'>> &
      (E extends { readonly metadata?: infer M } ? { readonly metadata?: M } : unknown) & {
        /** A UUID, drawn when absent. Two appends with the same ids are one. */
        readonly id?: string
        readonly tags?: readonly string[]
      }
  : never

/** An event where it stands. */
export type RecordedEvent<E extends EventType = EventType> = E extends EventType
  ? {
      readonly stream: string
      /** In its stream, from 0. */
      readonly revision: bigint
      /** Among all events, from 1. */
      readonly position: bigint
      readonly id: string
      readonly type: E['type']
      readonly data: E['data']
      /** Undefined when there was none. */
      readonly metadata: E['metadata']
      readonly tags: readonly string[]
      /** The clock of the node that took the append; it informs, nothing is decided by it. */
      readonly recordedAt: Date
    }
  : never
