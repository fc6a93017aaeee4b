import { destination, pino, stdTimeFunctions, type Logger } from 'pino'

/** JSON lines to standard error; `SYNOD_LOG` is the level: trace, debug, info (default), warn, error, fatal, silent. */
export function openLogger(): Logger {
  const wanted = process.env.SYNOD_LOG ?? ''
  const known = wanted === 'silent' || wanted in pino.levels.values
  const logger = pino(
    {
      level: known ? wanted : 'info',
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    destination({ fd: 2, sync: true }),
  )
  if (!known && wanted !== '') logger.warn(`SYNOD_LOG is ${wanted}: allowed are trace, debug, info, warn, error, fatal, silent; info it is`)
  return logger
}
