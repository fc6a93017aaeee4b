import { readFile, stat } from 'node:fs/promises'
import { InputError } from './command-errors.ts'

/** A request takes 8 MiB; white space and escapes may make its text longer. */
const inputBytesMax = 64 * 1024 * 1024

/** The whole text of a file, or of standard input for `-`. @throws InputError */
export async function readInputText(file: string, bytesMax = inputBytesMax): Promise<string> {
  const bytes = file === '-' ? await readStandardInput(bytesMax) : await readWholeFile(file, bytesMax)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new InputError(`${nameOf(file)} is not UTF-8`)
  }
}

async function readStandardInput(bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    if (bytes > bytesMax) throw tooLong('-', bytesMax)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

async function readWholeFile(file: string, bytesMax: number): Promise<Uint8Array> {
  try {
    const { size } = await stat(file)
    if (size <= bytesMax) return await readFile(file)
  } catch (error) {
    throw new InputError(`${file} cannot be read: ${(error as Error).message}`)
  }
  throw tooLong(file, bytesMax)
}

function tooLong(file: string, bytesMax: number): InputError {
  return new InputError(`${nameOf(file)} has more than ${bytesMax} bytes`)
}

function nameOf(file: string): string {
  return file === '-' ? 'standard input' : file
}
