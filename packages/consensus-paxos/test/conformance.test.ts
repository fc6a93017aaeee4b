import { protocolConformance } from '@synod/consensus/conformance'
import { protocol } from '@synod/consensus-paxos'

protocolConformance({ definition: protocol({ mode: 'multi' }) })
protocolConformance({ definition: protocol({ mode: 'basic' }) })
