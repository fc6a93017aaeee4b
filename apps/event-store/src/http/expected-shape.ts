import { z } from 'zod'
import type { Expected } from '@synod/events'

export const expectedWords = ['any', 'noStream', 'streamExists'] as const

/** What a stream is expected to be like, as JSON. */
export const expectedShape = z.custom<Expected>(
  (value) => expectedWords.some((word) => word === value) || (Number.isSafeInteger(value) && (value as number) >= 0),
  'must be any, noStream, streamExists or a revision: an integer from 0 to 2^53 - 1',
)
