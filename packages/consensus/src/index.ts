export { hostProtocol } from './host-protocol.ts'
export type { Effect, Input, Protocol, ProtocolDefinition, ProtocolFactory, ProtocolOptions, Token } from './protocol.ts'
export { bySize, checkIntersection, majority, QuorumError, type Quorums } from './quorums.ts'
