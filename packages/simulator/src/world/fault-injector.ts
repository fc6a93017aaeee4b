/** Breaks things at the seed's rates while the safety phase lasts, and mends them again; starts what is down. */
import type { Dice } from './dice.ts'
import type { FaultRates, SeedPlan } from './seed-plan.ts'
import type { Network } from './network.ts'
import type { SimNode } from './sim-node.ts'
import type { Tally } from './tally.ts'
import type { Trace } from './trace.ts'
import type { World } from './world.ts'

export interface FaultInjectorOptions {
  readonly world: World
  readonly dice: Dice
  readonly plan: SeedPlan
  readonly nodes: readonly SimNode[]
  readonly network: Network
  readonly tally: Tally
  readonly trace: Trace
}

export class FaultInjector {
  readonly #options: FaultInjectorOptions
  #isOver = false

  constructor(options: FaultInjectorOptions) {
    this.#options = options
  }

  begin(): void {
    const { nodes } = this.#options
    for (const node of nodes) {
      this.#often('crash', () => this.#crash(node, 'crash'))
      this.#often('crashInTurn', () => this.#crashInTurn(node))
      this.#often('stop', () => node.stop())
      this.#often('pause', () => this.#pause(node))
      this.#often('stall', () => this.#stall(node))
      this.#often('failSync', () => node.fail('sync'))
      this.#often('failFlush', () => node.fail('flush'))
      this.#often('wipe', () => this.#wipe(node))
    }
    this.#often('crashAll', () => this.#crashAll())
    if (nodes.length === 1) return
    this.#often('cutLink', () => this.#breakLink('cut'))
    this.#often('clogLink', () => this.#breakLink('clog'))
    this.#often('partition', () => this.#partition())
    if (nodes.length > 2) this.#often('strike', () => this.#strike())
    this.#often('swizzle', () => this.#swizzle())
    this.#often('lag', () => this.#lag())
  }

  end(): void {
    this.#isOver = true
  }

  /** A node went down: a supervisor starts it again. */
  onDown(node: SimNode): void {
    const { world, dice, plan } = this.#options
    if (this.#isOver) return
    world.after(dice.exponential(plan.downMsMean), () => {
      if (!this.#isOver) node.start()
    })
  }

  #often(name: keyof FaultRates, run: () => void): void {
    const { world, dice, plan, tally } = this.#options
    const rate = plan.faults[name]
    if (rate === 0) return
    const next = (): void => {
      world.after(dice.exponential(1000 / rate), () => {
        if (this.#isOver) return
        tally.add(name)
        run()
        next()
      })
    }
    next()
  }

  #crash(node: SimNode, why: string): void {
    node.crash(why)
  }

  /** At any moment, or at one when a node has just written or sent. */
  #crashAll(): void {
    const { dice, nodes } = this.#options
    const crash = (): void => {
      for (const node of nodes) this.#crash(node, 'all at once')
    }
    const { life } = dice.pick(nodes)
    if (life === undefined || dice.chance(0.3)) crash()
    else life.dieAfterWrite(dice.whole(1, 6), crash)
  }

  #crashInTurn(node: SimNode): void {
    node.life?.dieAfterCalls(this.#options.dice.whole(1, 12), () => node.crash('in the middle of a turn'))
  }

  #pause(node: SimNode): void {
    const { world, dice, plan } = this.#options
    const { life } = node
    node.pause()
    world.after(dice.exponential(plan.pauseMsMean), () => {
      if (!this.#isOver && node.life === life) node.resume()
    })
  }

  #stall(node: SimNode): void {
    const { world, dice, plan } = this.#options
    node.disk.stalledUntil = world.now + dice.exponential(plan.pauseMsMean)
  }

  /** Never so many that what remains is no quorum. */
  #wipe(node: SimNode): void {
    const { nodes } = this.#options
    const wiped = nodes.filter(({ isWiped }) => isWiped).length
    if (wiped >= Math.floor((nodes.length - 1) / 2)) return
    node.wipe()
  }

  #breakLink(how: 'cut' | 'clog'): void {
    const { dice, network, nodes } = this.#options
    const [from, to] = dice.shuffled(nodes)
    if (from === undefined || to === undefined) return
    const isBothWays = dice.chance(0.5)
    this.#tell(how, `${from.id} ${isBothWays ? 'and' : 'to'} ${to.id}`)
    network[how](from.id, to.id)
    if (isBothWays) network[how](to.id, from.id)
    this.#later(() => {
      network.mend(from.id, to.id)
      network.mend(to.id, from.id)
    })
  }

  /**
   * A node is cut off little by little and comes back little by little, and then everybody hears what was said long ago: old answers
   * come to who has lost its office meanwhile, before the news of that.
   */
  #swizzle(): void {
    const { world, dice, network, nodes } = this.#options
    const [victim, ...others] = dice.shuffled(nodes)
    if (victim === undefined) return
    this.#tell('swizzle', victim.id)
    const forMs = 300 + dice.exponential(1_500)
    const links = others.flatMap(({ id }) => [[victim.id, id] as const, [id, victim.id] as const])
    for (const [from, to] of links) {
      world.after(dice.exponential(50), () => {
        if (!this.#isOver) network.clog(from, to)
      })
      world.after(forMs + dice.exponential(100), () => {
        if (!this.#isOver) network.mend(from, to)
      })
    }
  }

  /** A node hears everything late, and may be heard late too: it serves readers while the others have gone on. */
  #lag(): void {
    const { dice, network, nodes } = this.#options
    const [victim, ...others] = dice.shuffled(nodes)
    if (victim === undefined) return
    const ms = dice.scaled(50, 1_500)
    const isBothWays = dice.chance(0.3)
    this.#tell('lag', `${victim.id} by ${Math.round(ms)} ms${isBothWays ? ' both ways' : ''}`)
    for (const { id } of others) {
      network.lag(id, victim.id, ms)
      if (isBothWays) network.lag(victim.id, id, ms)
    }
    this.#later(() => {
      for (const { id } of others) {
        network.mend(id, victim.id)
        network.mend(victim.id, id)
      }
    })
  }

  /** In two groups, or one node alone, or each node from one other in a ring; one way or both. */
  #partition(): void {
    const { dice, network, nodes } = this.#options
    const order = dice.shuffled(nodes)
    const size = dice.whole(1, nodes.length - 1)
    const isRing = dice.chance(0.2)
    const isBothWays = dice.chance(0.7)
    const pairs = isRing
      ? order.map((node, at) => [node, order[(at + 1) % order.length] ?? node] as const)
      : order.slice(0, size).flatMap((left) => order.slice(size).map((right) => [left, right] as const))
    this.#tell('partition', pairs.map(([left, right]) => `${left.id}${isBothWays ? '-' : '>'}${right.id}`).join(' '))
    for (const [left, right] of pairs) {
      if (left === right) continue
      network.cut(left.id, right.id)
      if (isBothWays) network.cut(right.id, left.id)
    }
    this.#later(() => {
      for (const [left, right] of pairs) {
        if (left === right) continue
        network.mend(left.id, right.id)
        network.mend(right.id, left.id)
      }
    })
  }

  /**
   * How acknowledged data is lost that was not durable: a minority is away, the rest goes on, one of the rest loses power when
   * it has just spoken, and comes back together with those that were away, while the others are away.
   */
  #strike(): void {
    const { world, dice, plan, nodes } = this.#options
    const [victim, ...rest] = dice.shuffled(nodes)
    if (victim === undefined) return
    const absent = rest.slice(0, Math.floor((nodes.length - 1) / 2))
    const others = nodes.filter((node) => !absent.includes(node))
    const witnesses = others.filter((node) => node !== victim)
    this.#tell('strike', `${victim.id}, first without ${absent.map(({ id }) => id).join(' ')}, then with them`)
    this.#split(absent, others, 'cut')
    world.after(dice.exponential(300), () => {
      victim.life?.dieAfterWrite(dice.whole(2, 4), () => {
        if (this.#isOver) return
        victim.crash('struck')
        // Its last words arrive first.
        world.after(plan.network.delayMsMin + 3 * plan.network.delayMsMean, () => {
          if (this.#isOver) return
          this.#split(absent, others, 'mend')
          this.#split(witnesses, [victim, ...absent], 'cut')
          victim.start()
        })
        world.after(1_000 + dice.exponential(plan.partMsMean), () => {
          if (!this.#isOver) this.#split(witnesses, [victim, ...absent], 'mend')
        })
      })
    })
    world.after(600 + dice.exponential(plan.partMsMean), () => {
      if (!this.#isOver) this.#split(absent, others, 'mend')
    })
  }

  #split(left: readonly SimNode[], right: readonly SimNode[], how: 'cut' | 'mend'): void {
    const { network } = this.#options
    for (const one of left) {
      for (const other of right) {
        network[how](one.id, other.id)
        network[how](other.id, one.id)
      }
    }
  }

  #later(mend: () => void): void {
    const { world, dice, plan } = this.#options
    world.after(dice.exponential(plan.partMsMean), () => {
      if (this.#isOver) return
      this.#tell('mend', '')
      mend()
    })
  }

  #tell(event: string, detail: string): void {
    const { trace, world } = this.#options
    trace.add(world.now, 'world', event, detail)
  }
}
