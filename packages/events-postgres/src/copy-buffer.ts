/**
 * Rows in the binary format of COPY (Postgres documentation, "COPY", File Formats): a signature, for each row a count of
 * fields and for each field its length and bytes, then a trailer. One growing buffer a table and flush: no row is an object.
 */
import type { Bytes } from '@synod/codec'

const signature = Buffer.from('PGCOPY\n\u{ff}\r\n\0\0\0\0\0\0\0\0\0', 'latin1')

export class CopyBuffer {
  #buffer: Buffer
  #at = signature.length
  rows = 0

  constructor(bytesExpected: number) {
    this.#buffer = Buffer.allocUnsafe(signature.length + 2 + bytesExpected)
    signature.copy(this.#buffer)
  }

  row(fields: number): void {
    this.#room(2)
    this.#at = this.#buffer.writeUInt16BE(fields, this.#at)
    this.rows++
  }

  integer(value: number): void {
    this.#room(8)
    this.#at = this.#buffer.writeUInt32BE(4, this.#at)
    this.#at = this.#buffer.writeInt32BE(value, this.#at)
  }

  /** From 0 to 2^53 - 1. */
  bigint(value: number): void {
    this.#room(12)
    this.#at = this.#buffer.writeUInt32BE(8, this.#at)
    this.#at = this.#buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), this.#at)
    this.#at = this.#buffer.writeUInt32BE(value >>> 0, this.#at)
  }

  bytes(value: Bytes): void {
    this.#room(4 + value.length)
    this.#at = this.#buffer.writeUInt32BE(value.length, this.#at)
    this.#buffer.set(value, this.#at)
    this.#at += value.length
  }

  text(value: string): void {
    this.bytes(Buffer.from(value))
  }

  null(): void {
    this.#room(4)
    this.#at = this.#buffer.writeInt32BE(-1, this.#at)
  }

  finish(): Buffer {
    this.#room(2)
    this.#at = this.#buffer.writeInt16BE(-1, this.#at)
    return this.#buffer.subarray(0, this.#at)
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#at + bytes, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#at)
    this.#buffer = larger
  }
}
