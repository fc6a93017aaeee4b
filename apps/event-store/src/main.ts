#!/usr/bin/env node
/** The `synod` command line. */
import { CommanderError } from 'commander'
import { createProgram } from './command-line/program.ts'
import { exitCodes } from './exit-codes.ts'

try {
  await createProgram().parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  // Commander has said what is wrong already; help that was asked for is no error.
  process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
}
