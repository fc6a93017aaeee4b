import { seeded, Simulation } from './simulation.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** One random run: trouble for a few seconds, then peace. Throws when safety breaks, or nothing goes on afterwards. */
export function randomRun(seed: number, mode: 'multi' | 'basic'): { decided: number; reads: number } {
  const draw = seeded(seed + 77)
  const tiny = draw() < 0.3
  const options = tiny ? { mode, windowMax: 4, windowBytesMax: 64, heldMax: 6, heldBytesMax: 96, farBehindMax: 3 } : { mode }
  const simulation = new Simulation(seed, options, draw() < 0.75 ? 3 : draw() < 0.5 ? 5 : 4)
  // The rates are drawn for each seed: some bugs show only where they are high.
  const often = draw()
  simulation.faults = {
    loss: draw() < 0.3 ? 0 : draw() * 0.2,
    duplicate: draw() < 0.3 ? 0 : draw() * 0.6,
    delayMs: draw() < 0.5 ? 5 : draw() * 200,
    crash: often < 0.3 ? 0 : often < 0.7 ? draw() * 0.02 : 0.03 + draw() * 0.07,
    diskStall: draw() < 0.7 ? 0 : draw() * 0.05,
    cut: draw() < 0.4 ? 0 : draw() * 0.06,
    isolate: draw() < 0.6 ? 0 : 0.1,
  }
  let count = 0
  const offered = new Set<string>()
  const offer = (): void => {
    const { up } = simulation
    const node = up[Math.floor(simulation.random() * up.length)]
    if (node === undefined) return
    if (simulation.random() < 0.3) node.barrier()
    if (simulation.random() < 0.5) for (const each of up) if (each.role?.role === 'leader') each.barrier()
    const name = `v${++count}`
    const id = node.offer(encoder.encode(name))
    const { offers } = node
    watched.push(() => {
      if (offers.get(id) === 'offered') offered.add(name)
    })
  }
  const watched: (() => void)[] = []
  simulation.run(1_200)
  for (let round = 0; round < 30; round++) {
    simulation.chaos()
    for (let burst = Math.floor(simulation.random() * 4); burst > 0; burst--) offer()
    if (simulation.random() < 0.03) simulation.leader?.step({ kind: 'stepDown' })
    simulation.run(100)
  }
  simulation.heal()
  if (draw() < 0.4) {
    // A minority stays away for a while: the others must do without.
    const away = [...simulation.nodes.keys()][Math.floor(draw() * simulation.nodes.size)]!
    simulation.crash(away)
    goesOn(simulation, seed)
    simulation.start(away)
  }
  goesOn(simulation, seed)
  for (const look of watched) look()
  const values = [...simulation.oracle.decided.values()].map((hex) =>
    decoder.decode(Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))),
  )
  for (const name of offered) if (!values.includes(name)) throw new Error(`seed ${seed}: ${name} was offered and is not decided`)
  const reads = [...simulation.nodes.values()].reduce(
    (sum, node) => sum + [...node.reads.values()].filter(({ index }) => index !== undefined).length,
    0,
  )
  return { decided: values.length, reads }
}

/** Bugs 1 and 21: every node can offer and read, and all reach the same end. */
function goesOn(simulation: Simulation, seed: number): void {
  for (const node of simulation.up) {
    const where = (): string =>
      `seed ${seed}: ${[...simulation.nodes.values()].map((each) => `${each.id} ${each.role?.role} ${each.delivered}`).join(', ')}`
    let offer = 0
    const isOffered = (): boolean => {
      const fate = node.offers.get(offer)
      if (fate === undefined || fate === 'refused' || fate === 'abandoned')
        offer = node.offer(encoder.encode(`last of ${node.id} ${simulation.now}`))
      return node.offers.get(offer) === 'offered'
    }
    if (!simulation.run(12_000, isOffered)) throw new Error(`nothing goes on at ${node.id}, ${where()}`)
    let read = 0
    const isRead = (): boolean => {
      if (!node.reads.has(read)) read = node.barrier()
      return (node.reads.get(read)?.index ?? Number.POSITIVE_INFINITY) <= node.delivered
    }
    if (!simulation.run(8_000, isRead)) throw new Error(`no read at ${node.id}, ${where()}`)
  }
  const nodes = simulation.up
  const same = (): boolean => nodes.every((node) => node.delivered === simulation.oracle.deliveredHigh)
  if (!simulation.run(8_000, same))
    throw new Error(`seed ${seed}: they stay apart: ${nodes.map((node) => `${node.id} ${node.delivered}`).join(', ')}`)
}
