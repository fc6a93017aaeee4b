/**
 * One node as a process of its own: `peer-process.ts self options-as-json node=address…`. Says `ready`, then echoes
 * frames; ends with its standard input, so that it never outlives the test.
 */
import { transport } from '@synod/transport-tcp'

const [self, options, ...places] = process.argv.slice(2)
const addresses = new Map(places.map((place) => place.split('=') as [string, string]))
const node = await transport.open({ self: self!, addresses, options: JSON.parse(options!) })
node.onFrame((from, frame) => node.send(from, frame))
process.stdin.once('end', () => process.exit()).resume()
process.stdout.write('ready\n')
