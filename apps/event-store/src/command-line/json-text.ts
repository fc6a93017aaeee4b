/**
 * JSON from a person or a file. A number that JavaScript would round (twenty digits, many decimals) keeps its text, so that it is
 * stored as it was written.
 */
type RawJson = (text: string) => unknown
type Reviver = (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown

// Newer than the compiler's library.
const { parse, rawJSON } = JSON as unknown as { readonly parse: (text: string, reviver: Reviver) => unknown; readonly rawJSON: RawJson }

/** @throws SyntaxError, RangeError when it nests too deep */
export function parseJsonText(text: string): unknown {
  return parse(text, (_, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? rawJSON(source) : value,
  )
}
