/**
 * A consumer of a group in a process of its own, so that it can be killed: `node group-consumer-process.ts <group> <name> <urls…>`. It tells
 * a line for each delivery (`d generation position stream revision attempt`), and for what came of it (`a position`: acknowledged for
 * good, `p position`: it asked to park it). One in thirty events is to be retried, one in three hundred parked, as long as their first attempts last.
 */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '@synod/client'

const [group = '', consumer = '', ...nodes] = process.argv.slice(2)
const tell = (...words: readonly (string | number | bigint)[]): void => void process.stdout.write(`${words.join(' ')}\n`)

const client = connect({ nodes })
process.on('disconnect', () => process.exit(0)) // whoever started it is gone
for await (const delivery of client.groups.consume(group, { consumer })) {
  const { event, generation, attempt } = delivery
  tell('d', generation, event.position, event.stream, event.revision, attempt)
  if (randomInt(10) === 0) await sleep(randomInt(4))
  if (attempt === 1 && randomInt(30) === 0) delivery.nack('retry')
  else if (attempt === 1 && randomInt(300) === 0) {
    tell('p', event.position)
    delivery.nack('park', 'drawn')
  } else void delivery.ack().then((isSettled) => isSettled && tell('a', event.position))
}
