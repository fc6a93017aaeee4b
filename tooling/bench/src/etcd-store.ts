import { connect, type ClientHttp2Session } from 'node:http2'
import { startEtcdCluster } from '@synod/servers'
import { BenchError } from './bench-error.ts'
import { eventBody } from './event-body.ts'
import { streamsCount, type RunningStore } from './target.ts'

const path = '/etcdserverpb.KV/Put'
const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
const prefixBytes = 5

/**
 * Three etcd servers as they come; an append is a put of a key that is new.
 *
 * The door is etcd's own: gRPC over one HTTP/2 connection, with the two fields of a PutRequest encoded here. Tried beside it in one run,
 * @grpc/grpc-js cost the load three times the processor time and made etcd look slower by a third at 256 in flight; the
 * JSON gateway cost etcd twice the processor time an append and halved its rate.
 * @throws ServerError `etcd_not_found` where there is no etcd and none can be fetched
 */
export async function startEtcd(): Promise<RunningStore> {
  const cluster = await startEtcdCluster({ size: 3 })
  const session = connect(cluster.leaderUrl)
  session.on('error', () => {}) // every request under way fails with it
  const value = Buffer.from(JSON.stringify(eventBody()))
  let keysCount = 0
  return {
    targets: [
      {
        key: 'etcd',
        name: 'etcd',
        durable: 'fsync at 2 of 3',
        client: `three etcd servers ${cluster.version}; gRPC to the leader, not the JSON gateway, one HTTP/2 connection, put of a new key (node:http2)`,
        pids: cluster.pids,
        prepare: () => Promise.resolve(),
        append: (turn) => put(session, `bench-${turn % streamsCount}/${keysCount++}`, value),
      },
    ],
    async close() {
      session.destroy()
      await cluster.stop()
    },
  }
}

function put(session: ClientHttp2Session, key: string, value: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers)
    let isPut = false
    stream.on('response', (response) => {
      if (response[':status'] !== 200) reject(new BenchError(`etcd answered ${response[':status']}`))
    })
    stream.on('trailers', (trailers) => {
      isPut = String(trailers['grpc-status']) === '0'
      if (!isPut) reject(new BenchError(`etcd refused a put: ${String(trailers['grpc-message'] ?? trailers['grpc-status'])}`))
    })
    stream.on('error', reject)
    stream.on('close', () => (isPut ? resolve() : reject(new BenchError('etcd closed a put without an answer'))))
    stream.resume()
    stream.end(grpcFrame(putRequest(key, value)))
  })
}

/** `PutRequest { bytes key = 1; bytes value = 2; }` */
function putRequest(key: string, value: Buffer): Buffer {
  const keyBytes = Buffer.from(key)
  return Buffer.concat([fieldHead(1, keyBytes.length), keyBytes, fieldHead(2, value.length), value])
}

/** Of a field that is bytes: its number and wire type, then the length in groups of seven bits, the lowest first. */
function fieldHead(field: number, length: number): Buffer {
  const bytes = [(field << 3) | 2]
  let rest = length
  for (; rest > 127; rest >>= 7) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}

function grpcFrame(message: Buffer): Buffer {
  const frame = Buffer.alloc(prefixBytes + message.length)
  frame.writeUInt32BE(message.length, 1) // byte 0: not compressed
  message.copy(frame, prefixBytes)
  return frame
}
