import type { IncomingMessage } from 'node:http'
import { connectionPath, subprotocol } from '@synod/client-protocol'
import { HttpError, invalidArgument } from '../http/http-error.ts'

const key = /^[A-Za-z0-9+/]{22}==$/

export function isHandshake({ url }: IncomingMessage): boolean {
  return url === connectionPath
}

/** Why a request for the connection is no handshake of this protocol; undefined when it is one. */
export function handshakeRefusal({ headers, method }: Pick<IncomingMessage, 'headers' | 'method'>): HttpError | undefined {
  if (headers.upgrade?.toLowerCase() !== 'websocket') {
    return new HttpError(426, 'invalid_argument', `this is a WebSocket of subprotocol ${subprotocol}: see docs/client-protocol.md`)
  }
  if (method !== 'GET') return invalidArgument(`a handshake is a GET, not ${method}`)
  if (headers['sec-websocket-version'] !== '13') return invalidArgument('Sec-WebSocket-Version must be 13')
  if (!key.test(headers['sec-websocket-key'] ?? '')) return invalidArgument('Sec-WebSocket-Key must be 16 bytes in base64')
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
  if (offered.includes(subprotocol)) return undefined
  const named = offered[0] === '' ? 'none' : JSON.stringify(offered.join(', ').slice(0, 128))
  return invalidArgument(`Sec-WebSocket-Protocol offers ${named}: this node speaks ${subprotocol}; use a client of this version`)
}
