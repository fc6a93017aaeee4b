import type { VirtualLogLimits } from './virtual-log-options.ts'

const mebibyte = 1024 * 1024

/** docs/limits.md says what happens at each. */
export const virtualLogLimits: VirtualLogLimits = {
  batchCommandsMax: 1024,
  batchBytesMax: 12 * mebibyte,
  offersMax: 4,
  pendingCommandsMax: 16_384,
  pendingBytesMax: 64 * mebibyte,
  sessionsMax: 10_000,
  sessionAnswersMax: 32_768,
  answersMax: 262_144,
  readsMax: 16_384,
  saveSlotsMax: 1024,
  saveBytesMax: 64 * mebibyte,
  assemblyBytesMax: 128 * mebibyte,
}
