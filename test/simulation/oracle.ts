/**
 * What must hold, whatever happens. Asked at every change of a store, at the end of every run, and
 * when all is quiet. It knows what users did and what lies in the stores, and asks the engine for
 * nothing but its reports.
 */
import { digestsOf } from '../../connectors/digests.ts'
import type { MemoryEntry } from '../../connectors/memory-store.ts'
import type { RunRecord } from '../../src/catalog/catalog.ts'
import type { Key, RunNumber } from '../../src/model.ts'
import { compileFilter } from '../../src/sync/filter.ts'
import { keyProblem } from '../../src/sync/keys.ts'
import type { SyncInput } from '../../workflows/messages.ts'
import { createExpectations } from './expectations.ts'
import { isKept } from './kept.ts'
import type { Operation } from './operations.ts'
import { beginRun, checkRun, liesOf, type RunBegun } from './oracle-run.ts'
import { type Change, type Replica, seenAs, shaOf } from './stores.ts'
import type { World } from './world.ts'

/** A promise that was broken; `promise` names it, and shrinking keeps to it. */
export class Broken extends Error {
  override name = 'Broken'
  readonly promise: string
  constructor(promise: string, words: string) {
    super(`${promise}: ${words}`)
    this.promise = promise
  }
}

export interface Oracle {
  /** Before a user's operation. */
  acting(operation: Operation): void
  changed(change: Change): void
  /** What makes it hard to say what should become of keys, until all is quiet again. */
  disturbed(): void
  /** A person asked for it: of what there ever was, all may go; or what is held. */
  asked(what: 'anything' | 'held'): void
  /** What this replica holds is no longer what it held. */
  moved(replica: Replica): void
  /** Nothing that was agreed, or deleted, is known any more. */
  catalogLost(): void
  /** `Expectations.restoring` */
  restoring(run: RunNumber, undo: boolean): void
  runBegins(input: SyncInput): void
  runEnds(record: RunRecord, clean: boolean): Promise<void>
  /** When nothing more was to be done. */
  quiet(): Promise<void>
  throwIfBroken(): void
}

interface Known {
  /** Who changed it since all replicas were equal, by name. */
  touched: Set<string>
  /** What users changed that Tidemark had put, maybe without hearing so: then it puts it again. */
  over: { store: Replica; put: MemoryEntry }[]
  /** What the last user to do so left there; null: nothing. */
  left: string | null
  /** What all had when all was quiet. */
  agreed: string | null
  /** Contents that users took away. */
  removed: Set<string>
  /** Contents that anybody ever put. */
  ever: Set<string>
}

export function createOracle(world: World): Oracle {
  const keys = new Map<Key, Known>()
  const broken: Broken[] = []
  let disturbed = false
  let run: RunBegun | null = null
  /** Keys of replicas that were emptied at once, by a user: each needs a person's word. */
  const emptied = new Map<string, Set<Key>>()
  const doubtful: { key: Key; names: string[]; words: string }[] = []
  /** Digests and keys of all that any catalog said was agreed. */
  const agreed = new Set<string>()
  let emptying: string | null = null

  const fail = (promise: string, words: string) => {
    broken.push(new Broken(promise, words))
    world.machine.trace(`BROKEN ${promise}: ${words}`)
  }
  const expectations = createExpectations(world, fail)

  function known(key: Key): Known {
    const fresh = { touched: new Set<string>(), over: [], left: null, agreed: null }
    const found = keys.get(key) ?? { ...fresh, removed: new Set<string>(), ever: new Set<string>() }
    keys.set(key, found)
    return found
  }

  // ── one change ────────────────────────────────────────────────────────────────────────────────

  function userChanged({ store, key, before, to }: Change): void {
    const one = known(key)
    one.touched.add(store.name)
    one.left = shaOf(to)
    if (before && before === store.put.get(key)) one.over.push({ store, put: before })
    // At a replica that left the dataset nobody says anything of its keys.
    if (before && world.members.has(store.index)) one.removed.add(shaOf(before) as string)
    if (to) one.ever.add(shaOf(to) as string)
    if (to && emptying === null) emptied.delete(store.name)
  }

  function tidemarkChanged(change: Change): void {
    const { store, key, before, to, step } = change
    if (to) known(key).ever.add(shaOf(to) as string)
    if (world.scenario.canary) fail('canary', `${key} is put at ${store.name}`)
    if (!before) return
    const since = store.windows.get(key) ?? Number.POSITIVE_INFINITY
    const written = store.written.get(before)
    const inWindow = store.kind === 'bare' && written?.by === 'user' && written.step >= since
    const was = shaOf(before) as string
    if (!inWindow && !store.shown.has(seenAs(key, before))) {
      fail('I1 no blind write', `${key} at ${store.name} was never looked at (step ${step})`)
    }
    if (to === null) removedByTidemark(change, was)
    if (was !== shaOf(to) && !inWindow && before.bytes.length > 0) keptSomewhere(change, was)
  }

  function keptSomewhere({ store, key, before }: Change, was: string): void {
    const elsewhere = world.replicas.some(({ store: other }) =>
      other.names().some((name) => {
        const entry = other.get(name)
        return entry?.bytes.length === before?.bytes.length && shaOf(entry) === was
      }),
    )
    if (elsewhere || isKept(world, before as MemoryEntry)) return
    const words = `${key} at ${store.name}: its content was nowhere else`
    if (world.scenario.dataset.history.content !== 'off') fail('I2 no content is lost', words)
    // Without history, what was agreed once may go: the run's lines will tell.
    else if (before) doubtful.push({ key, names: Object.values(digestsOf(before.bytes)), words })
  }

  async function checkDoubtful(): Promise<void> {
    if (world.scenario.dataset.history.content !== 'off') return
    const lines = await world.shared.catalog.linesOfDataset('data', { limit: 1_000 })
    for (const { key, version } of lines) {
      // A composed object shows its crc32c alone.
      const digests = Object.values(version.content?.digests ?? {})
      for (const digest of digests) agreed.add(`${digest} ${key}`)
    }
    for (const { key, names, words } of doubtful.splice(0)) {
      if (names.some((name) => agreed.has(`${name} ${key}`))) continue
      fail('I2 no content is lost', `${words}, and never agreed`)
    }
  }

  function removedByTidemark({ store, key }: Change, was: string): void {
    const { removed, touched } = known(key)
    if (removed.size === 0) {
      fail('I3 only users delete', `${key} at ${store.name}: no user ever took it away`)
      return
    }
    // One key alone is no emptied replica, as far as the dataset goes.
    const selects = compileFilter([], world.exclude)
    const others = [...emptied].filter(([name, gone]) => {
      return name !== store.name && gone.has(key) && [...gone].filter(selects).length > 1
    })
    if (others.length > 0 && touched.size === 1) {
      const [name] = others[0] as [string, Set<Key>]
      fail('I3 an emptied replica deletes nothing', `${key} at ${store.name}: ${name} was emptied`)
    }
    void was
  }

  // ── quiet ─────────────────────────────────────────────────────────────────────────────────────

  const members = (): Replica[] => world.replicas.filter(({ index }) => world.members.has(index))

  const holdable = ({ store }: Replica, key: Key): boolean =>
    store.get(key) !== undefined ||
    (store.refuses(key) === null && (!store.traits.keys || !keyProblem(key, store.traits.keys)))

  /** What all replicas hold alike when a run is complete is agreed; who changes it next, alone, has
   *  the say. What users changed in the meantime is looked at by the next one. */
  function settled(): void {
    const selects = compileFilter([], world.exclude)
    const journal = world.journal.slice(run?.journalAt)
    const moving = new Set(journal.filter(({ by }) => by === 'user').map(({ key }) => key))
    // What the source's listing hides is nobody's there: no content is compared with it, or agreed.
    const { direction } = world.scenario.dataset
    const hidden = direction === 'one-way' && run !== null && liesOf(world) > run.lies
    let all = true
    for (const [key, one] of keys) {
      const held = members().map(({ store }) => shaOf(store.get(key)))
      const equal = held.every((sha) => sha === held[0])
      if (!equal || moving.has(key) || !selects(key)) all = false
      else if (hidden) one.touched.add('?').add('??')
      else {
        checkOutcome(key, one, held, false)
        agree(key, held[0] ?? null)
      }
    }
    if (all) disturbed = false
  }

  /** From here on it is known by whom each put was, heard of or not. */
  function agree(key: Key, sha: string | null): void {
    const one = known(key)
    one.agreed = sha
    one.touched.clear()
    one.over = []
    for (const { put, heard } of members()) {
      const last = put.get(key)
      if (last) heard.add(last)
    }
  }

  /** What a listing hid from a run counts as removed there: who removes it elsewhere at the same
   *  time isn't told from Tidemark, and what is shown again as somebody's anew. */
  function doubtHidden(begun: RunBegun): void {
    if (liesOf(world) === begun.lies) return
    for (const { by, key } of world.journal.slice(begun.journalAt)) {
      if (by === 'user') known(key).touched.add('?').add('??')
    }
  }

  async function quiet(): Promise<void> {
    const { catalog } = world.shared
    const conflicts = await catalog.openConflicts({
      ...{ dataset: 'data', range: { from: null, to: null }, after: null, limit: 1_000 },
    })
    const open = new Map(conflicts.map((one) => [one.key, one]))
    const selects = compileFilter([], world.exclude)
    const names = new Set(world.replicas.flatMap(({ store }) => [...store.names()]))
    for (const key of [...keys.keys()]) names.add(key)
    // A key that is excluded now isn't looked at.
    for (const { key } of conflicts) if (selects(key)) checkConflict(key)
    for (const key of [...names].sort()) {
      if (!selects(key) || open.has(key)) {
        keys.get(key)?.touched.add('?').add('??')
        continue
      }
      checkKey(key)
    }
    disturbed = false
  }

  function checkConflict(key: Key): void {
    const { dataset } = world.scenario
    const [rule] = dataset.rules
    const { strategy } = rule ?? {}
    const left =
      dataset.direction === 'one-way'
        ? dataset.drift === 'conflict'
        : strategy?.name === 'manual' || (strategy?.name === 'merge' && !strategy.otherwise)
    if (!left) fail('conflicts are decided', `${key} stays open under ${strategy?.name}`)
    const contents = new Set(members().map(({ store }) => shaOf(store.get(key))))
    if (contents.size < 2) fail('open conflicts are real', `all replicas agree on ${key}`)
  }

  function checkKey(key: Key): void {
    const one = known(key)
    const { direction, drift, delete: carriedOn } = world.scenario.dataset
    const places = members()
    const held = places.map(({ store }) => shaOf(store.get(key)))
    const [first] = held
    const equal = held.every((sha) => sha === first)
    const blocked = places.some((place) => !holdable(place, key))
    if (direction === 'one-way') {
      const lenient = drift === 'keep' || first === null || carriedOn === 'never'
      if (!equal && !blocked && !lenient) {
        fail('I7 convergence', `${key}: ${wordsOf(places, key)}`)
      }
    } else if (!equal && !blocked) fail('I7 convergence', `${key}: ${wordsOf(places, key)}`)
    checkOutcome(key, one, held, blocked)
    if (equal) agree(key, first ?? null)
    else one.touched.add('?').add('??')
  }

  /** Where one side alone changed a key, what it left is what there is; untouched keys stay. */
  function checkOutcome(key: Key, one: Known, held: (string | null)[], blocked: boolean): void {
    const { direction, delete: carriedOn } = world.scenario.dataset
    for (const sha of held) {
      if (sha !== null && !one.ever.has(sha)) fail('nothing is made up', `${key} holds ${sha}`)
    }
    const unheard =
      one.over.some(({ store, put }) => !store.heard.has(put)) ||
      members().some((place) => isUnheard(place, key))
    if (disturbed || blocked || unheard || one.touched.size > 1) return
    // A loser's own name: nobody's but Tidemark's, until it is agreed.
    if (one.touched.size === 0 && one.agreed === null && one.left === null) return
    const [toucher] = one.touched
    // What is done at a replica that left the dataset is nobody's business.
    if (toucher !== undefined && !members().some(({ name }) => name === toucher)) return
    if (direction === 'one-way' && toucher !== members()[0]?.name) return
    const expected = toucher === undefined ? one.agreed : one.left
    if (expected === null && direction === 'one-way' && carriedOn === 'never') return
    if (held.every((sha) => sha === expected)) return
    const words = `${toucher ?? 'nobody'} left ${short(expected)}`
    fail('one side’s change is everybody’s', `${key}: ${words}, now ${held.map(short).join(', ')}`)
  }

  return {
    acting(operation) {
      emptying = null
      // In the middle of a run, that may find it empty of less.
      if (operation.do !== 'remove-all' || world.running) return
      const replica = world.replicas[operation.at]
      const held = replica?.store.names().filter((name) => known(name).agreed !== null) ?? []
      if (!replica || held.length < 2) return
      emptying = replica.name
      emptied.set(replica.name, new Set(held))
    },
    changed(change) {
      if (change.by === 'user') userChanged(change)
      else tidemarkChanged(change)
      expectations.changed(change)
    },
    disturbed() {
      disturbed = true
      expectations.forget()
    },
    asked(what) {
      disturbed = true
      emptied.clear()
      expectations.forget()
      if (what === 'held') return
      // Also by a later run, where a delete failed.
      for (const one of keys.values()) for (const sha of one.ever) one.removed.add(sha)
    },
    moved({ name }) {
      disturbed = true
      emptied.delete(name)
      expectations.forget()
    },
    catalogLost() {
      disturbed = true
      expectations.forget()
      for (const one of keys.values()) one.removed.clear()
    },
    restoring: expectations.restoring,
    runBegins(input) {
      run = beginRun(world)
      expectations.runBegins(input)
    },
    async runEnds(record, clean) {
      await checkDoubtful()
      if (run) checkRun(world, run, record, { clean, fail })
      expectations.runEnds(record)
      const settles = record.request === null && record.mode !== 'plan'
      if (record.state === 'complete' && settles) settled()
      if (run) doubtHidden(run)
    },
    quiet,
    throwIfBroken() {
      const [first] = broken
      if (first) throw first
    },
  }
}

/** Tidemark put it, heard nothing of that, and a user changed the key here or elsewhere, before or
 *  after: who forgets what it sent can't tell its own write from somebody else's. */
function isUnheard({ put, heard }: Replica, key: Key): boolean {
  const last = put.get(key)
  return last !== undefined && !heard.has(last)
}

const short = (sha: string | null | undefined) => sha?.slice(0, 6) ?? 'nothing'

function wordsOf(places: Replica[], key: Key): string {
  return places.map(({ name, store }) => `${name} has ${short(shaOf(store.get(key)))}`).join(', ')
}
