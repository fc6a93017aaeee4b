/**
 * Who has which partition: even (no member has two more than another), sticky (a partition stays where it is when that keeps it
 * even), and a function of the lists alone, so that every node finds the same.
 */

/** `owners`: by partition; a member that is not in `members` has gone. `members`: in the order in which they joined. */
export function assign(owners: readonly (string | undefined)[], members: readonly string[]): readonly (string | undefined)[] {
  if (members.length === 0) return owners.map(() => undefined)
  const quotas = quotasOf(owners, members)
  const assigned = owners.map((owner) => {
    const quota = owner === undefined ? undefined : quotas.get(owner)
    if (owner === undefined || quota === undefined || quota === 0) return undefined
    quotas.set(owner, quota - 1)
    return owner
  })
  const open = members.filter((member) => quotas.get(member)! > 0)
  for (const [partition, owner] of assigned.entries()) {
    if (owner !== undefined) continue
    const member = open[0]!
    assigned[partition] = member
    const left = quotas.get(member)! - 1
    quotas.set(member, left)
    if (left === 0) open.shift()
  }
  return assigned
}

/** Those that have most now get the larger share, when it does not come out even; of equals the one that joined first. */
function quotasOf(owners: readonly (string | undefined)[], members: readonly string[]): Map<string, number> {
  const counts = new Map(members.map((member) => [member, 0]))
  for (const owner of owners) {
    const count = owner === undefined ? undefined : counts.get(owner)
    if (owner !== undefined && count !== undefined) counts.set(owner, count + 1)
  }
  const share = Math.floor(owners.length / members.length)
  const larger = owners.length % members.length
  const ordered = members.toSorted((a, b) => counts.get(b)! - counts.get(a)!)
  return new Map(ordered.map((member, at) => [member, at < larger ? share + 1 : share]))
}
