/**
 * Holds the runs that nothing disturbed against the model, key by key; and all runs against what
 * the config says of deletes, of excluded keys, of a one-way source. The engine's catalog isn't
 * asked: what was agreed is what all replicas had when an undisturbed run had ended.
 */
import type { RunRecord } from '../../src/catalog/catalog.ts'
import type { Key, RunNumber } from '../../src/model.ts'
import { compileFilter } from '../../src/sync/filter.ts'
import { keyProblem } from '../../src/sync/keys.ts'
import type { SyncInput } from '../../workflows/messages.ts'
import { isKept } from './kept.ts'
import { expected, type Found, isInTheWay, type Sha } from './model.ts'
import { type Change, type Replica, shaOf } from './stores.ts'
import type { World } from './world.ts'

type Fail = (promise: string, words: string) => void

export interface Expectations {
  changed(change: Change): void
  /** Nobody can say now what was agreed. */
  forget(): void
  /** A person wants back what was agreed before a run, or wants that run undone, whatever came
   *  later. */
  restoring(run: RunNumber, undo: boolean): void
  runBegins(input: SyncInput): void
  runEnds(record: RunRecord): void
}

interface Begun {
  input: SyncInput
  found: Map<Key, Found>
  journalAt: number
  step: number
  /** How often each fault had come about. */
  faults: Map<string, number>
  agreed: Agreed
}

/** What all replicas had. A key in neither was never seen. */
interface Agreed {
  keys: Map<Key, Sha>
  /** Nobody can say. */
  doubtful: Set<Key>
}

export function createExpectations(world: World, fail: Fail): Expectations {
  let agreed: Agreed = { keys: new Map(), doubtful: new Set() }
  const runs = new Map<RunNumber, { before: Agreed; after: Agreed }>()
  let begun: Begun | null = null
  let wanted: Map<Key, Sha> | null = null
  /** Keys that were deleted and are nowhere under another name, since a catalog knows of them. */
  let deletedBefore = 0

  const members = (): Replica[] => world.replicas.filter(({ index }) => world.members.has(index))
  const allNames = () => new Set(world.replicas.flatMap(({ store }) => [...store.names()]))

  function foundNow(): Map<Key, Found> {
    const places = members()
    const names = allNames()
    for (const key of agreed.keys.keys()) names.add(key)
    const found = new Map<Key, Found>()
    for (const key of names) {
      if (agreed.doubtful.has(key) || !isPlain(places, key, names)) continue
      const entries = places.map(({ store }) => store.get(key) ?? null)
      found.set(key, { agreed: agreed.keys.get(key) ?? null, places, entries })
    }
    return found
  }

  /** Every store can hold it, beside all others. */
  const isPlain = (places: Replica[], key: Key, names: Set<Key>) =>
    !isInTheWay(world, key, names) &&
    places.every(({ store: { traits } }) => !traits.keys || keyProblem(key, traits.keys) === null)

  // ── a run that nothing disturbed ──────────────────────────────────────────────────────────────

  function isCalm({ state }: RunRecord, { input }: Begun): boolean {
    if (world.disturbed || world.offline.size > 0 || world.astray.size > 0) return false
    // The model goes by bytes: a type that changes under the same ones is nothing to it.
    if (world.replicas.some(({ typed }) => typed)) return false
    // An attempt that went on beside its retry may still be about; a store without conditions
    // would obey it.
    const zombies = world.troubles.counted.has('zombie')
    if (zombies && world.scenario.kinds.includes('bare')) return false
    // A file that changed a moment ago can't be told from one that changed since: a retry leaves it
    // to the next run.
    const unsettled = world.scenario.kinds.some((kind) => kind === 'file' || kind === 'folding')
    if (state === 'partial' && world.troubled && unsettled) return false
    return input.mode !== 'approve' && state !== 'failed'
  }

  /** At most replies were lost, which is made good at once. */
  function isWhole({ faults }: Begun): boolean {
    const grown = [...faultsNow()].filter(([kind, times]) => times > (faults.get(kind) ?? 0))
    return grown.every(([kind]) => kind === 'reply-lost')
  }

  const faultsNow = () =>
    new Map([...world.troubles.counted, ['crash', world.counted.get('fault crash') ?? 0]])

  function check(record: RunRecord, begun: Begun): void {
    const { found } = begun
    const selects = compileFilter([], world.exclude)
    // A loser's file that a cancelled run left unagreed is found twice: listed, and made anew.
    const [rule] = world.scenario.dataset.rules
    const beside = rule?.strategy.name === 'keep-both'
    const twice = beside && world.counted.has('deed cancel')
    // Where its name can't be beside its twin's, and its source is overwritten meanwhile.
    const twin = beside && world.scenario.kinds.includes('folding')
    if (record.state === 'partial' && isWhole(begun) && !twice && !twin) {
      fail('an undisturbed run is whole', `run ${record.run}: ${JSON.stringify(record.counts)}`)
    }
    for (const [key, one] of found) {
      const wanted = selects(key) ? expected(world, one) : one.entries.map(shaOf)
      if (wanted === null) continue
      one.places.forEach(({ name, store }, i) => {
        const has = shaOf(store.get(key))
        const want = wanted[i] ?? null
        if (has === want || (want === null && record.state === 'held')) return
        const was = one.entries.map((entry) => short(shaOf(entry))).join(', ')
        const words = `${key} was ${was} (agreed: ${short(one.agreed)}); ${name} has ${short(has)}`
        fail('a run does what its config says', `${words}, not ${short(want)}`)
      })
    }
  }

  /** What all have now is agreed; of what they differ in, nothing is known. */
  function learn(): Agreed {
    const selects = compileFilter([], world.exclude)
    const now: Agreed = { keys: new Map(), doubtful: new Set() }
    for (const key of everyKey()) {
      const [first = null, ...others] = members().map(({ store }) => shaOf(store.get(key)))
      if (selects(key) && others.every((sha) => sha === first)) now.keys.set(key, first)
      else now.doubtful.add(key)
    }
    return now
  }

  /** That it is gone everywhere may be what is held: then it isn't agreed. */
  function doubtHeld({ keys, doubtful }: Agreed): void {
    for (const key of [...keys.keys()].filter((one) => keys.get(one) === null)) {
      keys.delete(key)
      doubtful.add(key)
    }
  }

  const everyKey = () => new Set(world.journal.map(({ key }) => key))

  // ── history ───────────────────────────────────────────────────────────────────────────────────

  function versionsFor(run: RunNumber, undo: boolean): Map<Key, Sha> | null {
    const known = runs.get(run)
    if (!known) return null
    const { before, after } = known
    const names = everyKey()
    const selects = compileFilter([], world.exclude)
    const versions = new Map<Key, Sha>()
    for (const key of names) {
      if (before.doubtful.has(key) || !selects(key) || !isPlain(members(), key, names)) continue
      if (!isInHistory(key)) continue
      // What is agreed isn't changed by a restore to it: what users did since is the next sync's.
      if (agreed.doubtful.has(key) || agreed.keys.get(key) === (before.keys.get(key) ?? null))
        continue
      const sha = before.keys.get(key) ?? null
      const madeByIt = !after.doubtful.has(key) && (after.keys.get(key) ?? null) !== sha
      if ((!undo || madeByIt) && canBeHad(key, sha)) versions.set(key, sha)
    }
    return versions
  }

  /** What nobody has agreed on yet, no restore knows of. */
  const isInHistory = (key: Key): boolean =>
    [...runs.values()].some(({ before, after }) => before.keys.get(key) || after.keys.get(key))

  function canBeHad(key: Key, sha: Sha): boolean {
    if (sha === null || members().some(({ store }) => shaOf(store.get(key)) === sha)) return true
    const entry = world.journal.find(({ to }) => shaOf(to) === sha)?.to
    return entry ? isKept(world, entry) : false
  }

  function checkRestored(record: RunRecord, versions: Map<Key, Sha>): void {
    for (const [key, want] of versions) {
      for (const { name, store } of members()) {
        const has = shaOf(store.get(key))
        if (has === want) continue
        const words = `run ${record.run}: ${key} at ${name} is ${short(has)}, not ${short(want)}`
        fail('history restores', words)
      }
    }
  }

  // ── deletes ───────────────────────────────────────────────────────────────────────────────────

  /**
   * The least that the run can have counted: what it deleted, but for what has, or had, the same
   * content under another name; of all keys that there ever were. What was renamed at one place is
   * a rename, though it was edited at another.
   */
  function checkLimit(record: RunRecord, { journalAt }: Begun): void {
    const { deletes: limits } = world.scenario.dataset
    if (record.request !== null || record.mode === 'approve') return
    const done = world.journal.slice(journalAt)
    const gone = done.filter(({ by, to }) => by === 'tidemark' && to === null)
    const renamed = ({ key }: Change) => {
      const own = new Set(world.journal.map((one) => (one.key === key ? shaOf(one.to) : null)))
      return world.journal.some((other) => {
        return other.key !== key && other.to !== null && own.has(shaOf(other.to))
      })
    }
    // One place that had other content doesn't make it less of a rename.
    const excused = new Set(gone.filter(renamed).map(({ key }) => key))
    const keys = new Set(gone.map(({ key }) => key).filter((key) => !excused.has(key)))
    const counted = deletedBefore + keys.size
    const known = new Set(world.journal.map(({ key }) => key)).size
    const broken = limits.find(
      ({ count, percent }) => counted > count && (100 * counted) / known > percent,
    )
    if (keys.size > 0 && broken) {
      const words = `run ${record.run} deleted ${keys.size} keys, after ${deletedBefore} others`
      fail('I3 the delete limit', `${words}, of ${known}`)
    }
    // What was done and could not be told isn't counted.
    if (!world.troubled) deletedBefore = counted
  }

  return {
    changed(change) {
      const { store, key, by, to, before } = change
      if (by !== 'tidemark' || !begun) return
      const { direction, delete: carriedOn } = world.scenario.dataset
      const { input, step } = begun
      const was = before && store.written.get(before)
      const again = was?.by === 'tidemark' && was.step >= step && shaOf(before) === shaOf(to)
      if (again && !world.troubles.counted.has('zombie')) {
        fail('I6 a write is not repeated', `${key} at ${store.name}`)
      }
      if (input.mode === 'plan') fail('a plan touches nothing', `${key} at ${store.name}`)
      if (!compileFilter([], world.exclude)(key)) {
        fail('excluded keys stay as they are', `${key} at ${store.name}`)
      }
      const plain = input.request === undefined && input.mode === 'sync'
      if (direction !== 'one-way' || !plain) return
      if (store === members()[0]) fail('one-way never writes its source', key)
      if (to === null && carriedOn === 'never' && before) {
        fail('one-way deletes nothing where it must not', `${key} at ${store.name}`)
      }
    },
    forget() {
      agreed = { keys: new Map(), doubtful: everyKey() }
      runs.clear()
      deletedBefore = 0
    },
    restoring(run, undo) {
      wanted = versionsFor(run, undo)
    },
    runBegins(input) {
      // What was asked of history could not be planned.
      if (input.mode !== 'apply' && input.request === undefined) wanted = null
      const found = foundNow()
      const { steps: step } = world.machine
      const journalAt = world.journal.length
      begun = { input, found, journalAt, step, faults: faultsNow(), agreed }
    },
    runEnds(record) {
      if (!begun) return
      const calm = isCalm(record, begun)
      checkLimit(record, begun)
      if (record.mode === 'plan') return
      if (calm && record.request === null) check(record, begun)
      if (calm && record.mode === 'apply' && wanted) checkRestored(record, wanted)
      wanted = null
      agreed = calm ? learn() : { keys: new Map(), doubtful: everyKey() }
      if (record.state === 'held') doubtHeld(agreed)
      runs.set(record.run, { before: begun.agreed, after: agreed })
    },
  }
}

const short = (sha: Sha) => sha?.slice(0, 6) ?? 'nothing'
