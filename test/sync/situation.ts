/**
 * One key in any state, reachable or not: N + 1 trees, the replicas and the baseline, made by
 * perturbing one. What stories seldom come to is here as likely as anything else.
 */
import type { BaselineRow, Content, Hold, Version } from '../../src/model.ts'
import {
  type Dice,
  digestsOf,
  metadataOf,
  type Shape,
  type Store,
  sizeOf,
  tell,
  tokenOf,
  type World,
  worldOf,
  write,
} from './world.ts'

const contents = 6

export function situationOf(dice: Dice, shape: Shape, story: string[] | null = null): World {
  const world = worldOf(dice, ['a'], shape, story)
  world.run = 9
  world.lastScan = world.now - 50_000
  const base = dice.below(contents)
  const before = dice.below(5) === 0 ? null : base
  const older = { bytes: before, version: versionOf(dice, world, 3, before) }
  const bytes = dice.below(4) === 0 ? null : dice.below(contents)
  const head = { bytes, version: versionOf(dice, world, dice.pick([4, 5]), bytes) }
  const holds: Record<string, Hold> = {}
  for (const store of world.stores) {
    const held = dice.pick([head, head, head, older, null])
    if (held) holds[store.name] = holdOf(dice, world, store, held)
    perturb(dice, world, store, base)
    if (dice.below(5) === 0) world.offline.add(store.name)
  }
  const row: BaselineRow = { key: 'a', rev: 7, head: head.version, holds }
  if (dice.below(6) > 0) world.rows.set('a', row)
  for (const { name, objects } of world.stores) {
    tell(world, () => `${name}: ${JSON.stringify([row.holds[name], objects.get('a')])}`)
  }
  return world
}

function versionOf(dice: Dice, world: World, run: number, bytes: number | null): Version {
  const digests = bytes === null ? {} : dice.pick([digestsOf(bytes), { md5: `m${bytes}` }, {}])
  // Where all listings tell it, it was known when it was agreed.
  const telling = world.stores.every((store) => store.metadata === 'listed')
  const metadata = telling || dice.below(2) === 0 ? { metadata: metadataOf('type0') } : {}
  const content: Content | null =
    bytes === null ? null : { size: sizeOf(bytes), digests, ...metadata }
  return { run, content, origin: 'A', at: world.now - dice.below(9) * 10_000 }
}

/** Puts the version's content there, and gives the hold of it. */
function holdOf(
  dice: Dice,
  world: World,
  store: Store,
  { bytes, version }: { bytes: number | null; version: Version },
): Hold {
  if (bytes === null) return { version, token: null }
  const isDrift = dice.below(8) === 0
  const there = isDrift ? (bytes + 1) % contents : bytes
  const stored = write(world, store, 'a', there, version.content?.metadata ? 'type0' : '')
  stored.fresh &&= dice.below(2) === 0
  const drift = isDrift ? { drift: true as const } : {}
  return { version, token: tokenOf(store, stored), ...drift }
}

function perturb(dice: Dice, world: World, store: Store, base: number): void {
  world.now += 10_000
  const deed = dice.below(8)
  const stored = store.objects.get('a')
  if (deed === 0) store.objects.delete('a')
  else if (deed === 1 && stored) write(world, store, 'a', stored.bytes, stored.metadata)
  else if (deed === 2)
    write(world, store, 'a', dice.below(contents), dice.pick(['', 'type0', 'type1']))
  else if (deed === 3) write(world, store, 'a', base, 'type0')
}
