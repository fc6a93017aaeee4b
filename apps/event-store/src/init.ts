import { foundStore } from './compose-node.ts'
import { readNodeConfig } from './config/read-node-config.ts'
import { exitCodes } from './exit-codes.ts'

/** The command `init`: writes the genesis record into the store of one node; again with the same record it does nothing. */
export async function init(configFile: string): Promise<number> {
  try {
    const config = readNodeConfig(configFile, { environment: process.env })
    await foundStore(config, configFile)
    process.stdout.write(
      `the store of ${config.id} is founded: a member of cluster ${config.cluster} with ${Object.keys(config.peers).join(', ')}\n`,
    )
    return exitCodes.ok
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n`)
    return exitCodes.failure
  }
}
