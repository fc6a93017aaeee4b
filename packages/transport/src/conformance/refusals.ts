import { afterEach, describe, expect, test } from 'vitest'
import { TransportError } from '../transport.ts'
import { Cluster } from './cluster.ts'
import { Inbox } from './inbox.ts'
import type { TransportConformance } from './transport-world.ts'

export function addressCases(subject: TransportConformance): void {
  if (subject.exclusiveAddresses) exclusiveAddressCases(subject)
  else sharedAddressCases(subject)
}

/** What a transport refuses, and how it says so. */
export function refusalCases(subject: TransportConformance): void {
  describe('refusals', () => {
    let cluster: Cluster
    afterEach(() => cluster.close())

    test('a frame above frameBytesMax is a typed error, and the link lives on', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const [n1, n2] = [await cluster.open('n1'), await cluster.open('n2')]
      const inbox = new Inbox(n2)
      await cluster.connect(n1, 'n2', inbox)
      const frame = new Uint8Array(n1.frameBytesMax + 1)
      expect(() => n1.send('n2', frame)).toThrow(expect.objectContaining({ code: 'frame_too_large' }))
      expect(() => n1.send('n2', frame)).toThrow(TransportError)
      await cluster.connect(n1, 'n2', inbox)
    })

    test('a node that is not a peer, this one included, is a typed error that names it', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const n1 = await cluster.open('n1')
      for (const to of ['n9', '', 'n1', '__proto__']) {
        expect(() => n1.send(to, Uint8Array.of(1))).toThrow(TransportError)
        expect(() => n1.send(to, Uint8Array.of(1))).toThrow(expect.objectContaining({ code: 'unknown_peer' }))
      }
      expect(() => n1.send('n9', Uint8Array.of(1))).toThrow(/n9/)
    })

    test.each(subject.invalidOptions.map((options) => ({ options })))(
      'options $options are invalid_options, and the address stays free',
      async ({ options }) => {
        cluster = await Cluster.create(subject, ['n1', 'n2'])
        expect(await cluster.refusal('n1', {}, options)).toMatchObject({ code: 'invalid_options' })
        await cluster.open('n1')
      },
    )

    test('a node without an address of its own is invalid_options, and the message names it', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const refusal = await cluster.refusal('n9', {})
      expect(refusal).toMatchObject({ code: 'invalid_options' })
      expect(refusal.message).toContain('n9')
    })
  })
}

/** An address is a place with one listener. */
function exclusiveAddressCases(subject: TransportConformance): void {
  describe('an address, which one node has', () => {
    let cluster: Cluster
    afterEach(() => cluster.close())

    test('an address that is taken is address_in_use, and the message names it', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const n1 = await cluster.open('n1')
      const refusal = await cluster.refusal('n1', {})
      expect(refusal).toMatchObject({ code: 'address_in_use' })
      expect(refusal.message).toContain(cluster.addresses.get('n1'))
      await n1.close()
      await cluster.open('n1')
    })

    test('a frame for a node is not given to another one at its address', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2', 'n3'])
      const n1 = await cluster.open('n1', { n2: cluster.addresses.get('n3')! })
      const n3 = await cluster.open('n3')
      const inbox = new Inbox(n3)
      const forN2 = new TextEncoder().encode('for n2')
      await expect(
        inbox.first(
          ({ frame }) => Buffer.from(frame).equals(forN2),
          () => n1.send('n2', forN2),
          300,
        ),
      ).rejects.toThrow()
      await cluster.connect(n1, 'n3', inbox)
      expect(inbox.received.every(({ frame }) => !Buffer.from(frame).equals(forN2))).toBe(true)
    })
  })
}

/** An address is a name that any number may use. */
function sharedAddressCases(subject: TransportConformance): void {
  describe('an address, which is shared', () => {
    let cluster: Cluster
    afterEach(() => cluster.close())

    test('an address may be used twice', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      await cluster.open('n1')
      await cluster.open('n1')
    })
  })
}
