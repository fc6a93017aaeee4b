import { drawUuid, encodeRecord, parseUuid, type EventToRecord } from '@synod/event-record'
import type { ClientMessage } from '@synod/client-protocol'

export function record(
  value: unknown = 1,
  { id = drawUuid(), ...more }: Partial<EventToRecord> & { readonly id?: Uint8Array } = {},
): Uint8Array {
  return encodeRecord({ type: 'A', data: json(value), ...more }, id, 0)
}

export function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

export function idOf(number: number): Uint8Array {
  return parseUuid(`00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`) ?? new Uint8Array(16)
}

export function append(request: number, more: Partial<Extract<ClientMessage, { kind: 'append' }>> = {}): ClientMessage {
  return { kind: 'append', request, stream: 's', expected: 'any', records: [record(request)], ...more }
}

export function read(request: number, more: Partial<Extract<ClientMessage, { kind: 'read' }>> = {}): ClientMessage {
  return { kind: 'read', request, direction: 'forward', limit: 100, consistency: 'linearizable', ...more }
}

export function subscribe(request: number, more: Partial<Extract<ClientMessage, { kind: 'subscribe' }>> = {}): ClientMessage {
  return { kind: 'subscribe', request, start: { kind: 'beginning' }, creditBytes: 1_000_000, ...more }
}

export function untilAborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted !== false) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

export function appendAtomically(request: number, more: Partial<Extract<ClientMessage, { kind: 'appendAtomically' }>> = {}): ClientMessage {
  return { kind: 'appendAtomically', request, writes: [{ stream: 's', expected: 'any', records: [record(request)] }], checks: [], ...more }
}

export function query(request: number, more: Partial<Extract<ClientMessage, { kind: 'query' }>> = {}): ClientMessage {
  return { kind: 'query', request, filter: {}, direction: 'forward', limit: 100, consistency: 'linearizable', ...more }
}

export function call(request: number, method: string, argument: unknown): ClientMessage {
  return { kind: 'call', request, method, argument: typeof argument === 'string' ? argument : JSON.stringify(argument) }
}
