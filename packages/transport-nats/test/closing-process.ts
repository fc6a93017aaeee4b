/**
 * One node as a process of its own: `closing-process.ts self address options-as-json`. Says `open`; closes the transport when
 * its standard input ends, and does not call `exit`: what keeps it alive then was left behind.
 */
import { transport } from '@synod/transport-nats'

const [self, address, options] = process.argv.slice(2)
const node = await transport.open({ self: self!, addresses: new Map([[self!, address!]]), options: JSON.parse(options!) })
const said = setInterval(() => process.stdout.write(`${JSON.stringify(node.counters())}\n`), 20)
process.stdin
  .once('end', () => {
    clearInterval(said)
    void node.close()
  })
  .resume()
