import type { LogletFactory } from '@synod/log'
import { HostedLoglet } from './hosted-loglet.ts'
import type { ProtocolDefinition } from './protocol.ts'

/** Makes a loglet of a pure protocol core: one runtime for all of them. */
export function hostProtocol<M>(definition: ProtocolDefinition<M>): LogletFactory {
  return {
    name: definition.name,
    mode: definition.mode,
    capabilities: definition.capabilities,
    open: (options) => new HostedLoglet(definition, options),
  }
}
