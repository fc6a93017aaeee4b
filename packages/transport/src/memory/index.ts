export { Faults, type FaultsOptions, type LinkFaults, type LinkSelector } from './faults.ts';
export { faultyFactory, faultyTransport, type FaultyTransportOptions } from './faulty-transport.ts';
export { memoryNetwork, type MemoryNetwork, type MemoryNetworkOptions } from './memory-network.ts';
export { seededRandom } from './seeded-random.ts';
export { VirtualScheduler } from './virtual-scheduler.ts'
