import { crc32 } from 'node:zlib'
import type { Bytes } from '@synod/codec'
import type { Epoch, Index } from '@synod/log'

/** As a Postgres `integer`, which is signed. Covers the place too: a row that moved is damaged. */
export function slotChecksum(epoch: Epoch, index: Index, header: Bytes, entry: Bytes): number {
  return crc32(entry, crc32(header, place(`${epoch}/${index}/${header.length}/`))) | 0
}

export function metaChecksum(epoch: Epoch, key: string, value: Bytes): number {
  return crc32(value, place(`${epoch}/${key}/`)) | 0
}

export function genesisChecksum(record: string): number {
  return crc32(record) | 0
}

function place(text: string): number {
  return crc32(text)
}
