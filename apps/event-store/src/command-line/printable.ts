// C0 and C1 controls, DEL, line and paragraph separators, and marks that turn the direction of writing.
// oxlint-disable-next-line no-control-regex
const harmful = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** Text from the store for a terminal: what could move the cursor, change colours or hide other text is written as an escape. */
export function printable(text: string): string {
  return text.replace(harmful, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
