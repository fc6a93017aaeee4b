import { expect, test } from 'vitest'
import { cellKeyBytesMax, type Cell, type ReadSide } from '../read-side.ts'
import { seeded, type SideUnderTest } from './side-under-test.ts'

/** By the bytes of their keys, which is not the order of strings: 𝄞 comes after ～, and before it in UTF-16. */
function sorted(cells: Iterable<Cell>): Cell[] {
  return [...cells].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
}

/** Pieces of state by key, against the naive answer. */
export function cellsConformance(use: SideUnderTest): void {
  const cell = (key: string, ...bytes: number[]): Cell => ({ key, value: Uint8Array.from(bytes) })
  const gone = (key: string): Cell => ({ key, value: null })
  const set = (...cells: Cell[]): Promise<void> => use.flush([[1]], 0, 0, cells)
  const named = async (side: ReadSide, ...keys: string[]): Promise<Cell[]> => sorted(await side.cellsNamed(keys))

  test('a cell that nobody set is not there', async () => {
    expect(await use.side.cellsNamed(['a'])).toEqual([])
    expect(await use.side.cellsNamed([])).toEqual([])
    expect(await use.side.cells('', '', 10)).toEqual([])
  })

  test('a cell is set, replaced, removed and set again', async () => {
    await set(cell('a', 1), cell('b', 2), gone('never there'))
    expect(await named(use.side, 'a', 'b', 'c')).toEqual([cell('a', 1), cell('b', 2)])
    await set(cell('a', 3, 4), cell('c'))
    expect(await named(use.side, 'a', 'b', 'c')).toEqual([cell('a', 3, 4), cell('b', 2), cell('c')])
    await set(gone('a'), cell('b', 5))
    expect(await named(use.side, 'a', 'b')).toEqual([cell('b', 5)])
    use.side = await use.reopen()
    await set(cell('a', 6), gone('b'))
    expect(await named(use.side, 'a', 'b')).toEqual([cell('a', 6)])
    expect(await use.side.cells('', '', 10)).toEqual([cell('a', 6), cell('c')])
  })

  test('cells by prefix, in the order of their bytes, a page at a time', async () => {
    const keys = ['g', 'g/', 'g/a', 'g/a\u0000', 'g/b', 'g/～', 'g/𝄞', 'g/\u{10ffff}', 'g0', 'h', '', '\u0000', 'é', 'q\'"\\', 'ÿ']
    const cells = sorted(keys.map((key, at) => cell(key, at)))
    await set(...cells.toReversed())
    for (const prefix of ['', 'g', 'g/', 'g/a', 'h', 'i', '\u0000', 'g/\u{10ffff}', 'é']) {
      for (const after of ['', 'f', 'g', 'g/a', 'g/～', 'g/𝄞', 'z']) {
        const wanted = cells.filter(({ key }) => key.startsWith(prefix) && Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0)
        for (const limit of [1, 3, 100]) expect(await use.side.cells(prefix, after, limit)).toEqual(wanted.slice(0, limit))
      }
    }
    expect(await named(use.side, ...keys, 'g/c')).toEqual(cells)
  })

  test('a key and a value as large as may be', async () => {
    const [one, other] = ['é'.repeat(cellKeyBytesMax / 2), `${'é'.repeat(cellKeyBytesMax / 2 - 1)}ab`]
    // Bytes that do not compress.
    const random = seeded(7)
    const large = Uint8Array.from({ length: 300_000 }, () => random(256))
    const more = Array.from({ length: 9 }, (_, at) => ({ key: `large ${at}`, value: large.subarray(at, 299_999 - at) }))
    await set({ key: one, value: large }, cell(other, 1), ...more)
    expect(await use.side.cells('large', '', 10)).toEqual(more)
    expect(await named(use.side, one, other)).toEqual(sorted([{ key: one, value: large }, cell(other, 1)]))
  })

  test('thousands of cells in a flush', async () => {
    await set(...Array.from({ length: 3000 }, (_, at) => cell(`n ${at}`, at % 256)))
    await set(...Array.from({ length: 3000 }, (_, at) => (at % 3 === 0 ? gone(`n ${at}`) : cell(`n ${at}`, 7))))
    const found = await use.side.cells('n ', '', 10_000)
    expect(found).toEqual(sorted(use.samples.cells.values()))
    expect(found).toHaveLength(2000)
  })

  test('a fenced flush sets and removes no cell', async () => {
    await set(cell('a', 1), cell('b', 1))
    const successor = await use.reopen()
    await expect(set(cell('a', 2), gone('b'))).rejects.toMatchObject({ code: 'fenced' })
    expect(await named(successor, 'a', 'b')).toEqual([cell('a', 1), cell('b', 1)])
  })

  test('cells against a plain model: random flushes, openings and reads', async () => {
    const random = seeded(20_261_124)
    const key = () => ['x', 'x/', 'x/y', 'z'][random(4)]! + String(random(12))
    for (let round = 0; round < 40; round++) {
      const keys = new Set(Array.from({ length: random(6) }, key))
      await set(
        ...Array.from(keys, (name) => (random(3) === 0 ? gone(name) : cell(name, ...Array.from({ length: random(4) }, () => random(256))))),
      )
      if (random(6) === 0) use.side = await use.reopen()
      const [prefix, after, limit] = [['', 'x', 'x/', 'x/y1'][random(4)]!, random(2) === 0 ? '' : key(), 1 + random(20)]
      const wanted = sorted(use.samples.cells.values()).filter((found) => found.key.startsWith(prefix) && found.key > after)
      expect(await use.side.cells(prefix, after, limit)).toEqual(wanted.slice(0, limit))
      const names = [...new Set(Array.from({ length: 5 }, key))]
      expect(await named(use.side, ...names)).toEqual(sorted([...use.samples.cells.values()].filter((found) => names.includes(found.key))))
    }
  })
}
