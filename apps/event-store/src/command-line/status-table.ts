import { stripVTControlCharacters, styleText } from 'node:util'
import type { ClusterStatusJson, NodeStatusJson } from './cluster-status.ts'
import { printable } from './printable.ts'

const titles = ['node', 'role', 'state', 'pid', 'decided', 'applied', 'lag', 'position', 'appends/s', 'url'] as const
const numbers: readonly string[] = ['pid', 'decided', 'applied', 'lag', 'position', 'appends/s']

/** A cluster as lines for people. Colours are for the stream, if it is a terminal that wants them. */
export function statusTable(status: ClusterStatusJson, stream: NodeJS.WriteStream): string[] {
  const rows = [titles.map(String), ...status.nodes.map(cellsOf)]
  const widths = titles.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row, index) => {
    const node = status.nodes[index - 1]
    const cells = row.map((cell, column) => {
      const title = titles[column] ?? ''
      const width = widths[column] ?? 0
      const padded = numbers.includes(title) ? cell.padStart(width) : cell.padEnd(width)
      return node === undefined ? styleText('dim', padded, { stream }) : styled(title, padded, node, stream)
    })
    return cells.join('  ').trimEnd()
  })
  const { cluster, protocol, mode, transport, epoch, at } = status
  const head = `cluster ${cluster}  ${protocol} (${mode})  ${transport}  epoch ${epoch}  ${at}`
  return [styleText('dim', printable(head), { stream }), ...lines]
}

/** Cut to the terminal's width, where a line that wraps would not be found again. */
export function cutTo(line: string, columns: number): string {
  const plain = stripVTControlCharacters(line)
  return plain.length < columns ? line : plain.slice(0, Math.max(0, columns - 1))
}

function cellsOf(node: NodeStatusJson): string[] {
  const { id, role, state, pid, decidedSlot, appliedSlot, lag, position, appendsPerSecond, url } = node
  const known = [pid, decidedSlot, appliedSlot, lag, position, appendsPerSecond].map((value) => (value === null ? '-' : String(value)))
  return [printable(id), role ?? '-', printable(state), ...known, printable(url)]
}

function styled(title: string, text: string, node: NodeStatusJson, stream: NodeJS.WriteStream): string {
  if (title === 'state')
    return styleText(node.state === 'serving' ? 'green' : node.state === 'unreachable' ? 'red' : 'yellow', text, { stream })
  if (title === 'role' && node.role === 'leader') return styleText('bold', text, { stream })
  return text
}
