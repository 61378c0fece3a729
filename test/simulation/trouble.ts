/** Faults that are armed, and the points where they come about: the next call that they fit. */
import type { FaultCall } from '../../connectors/memory-store.ts'
import { UserError } from '../../src/errors.ts'
import type { Machine } from './machine.ts'
import type { Fault } from './scenario.ts'
import { failure, type Replica } from './stores.ts'
import type { Mishap } from './temporal-server.ts'

export interface Troubles {
  arm(fault: Fault): void
  /** From now on nothing fails. */
  cease(): void
  atStore(replica: Replica, call: FaultCall): void
  atVault(): void
  atCatalog(): void
  mishap(): Mishap | null
  /** How often each came about. */
  counted: Map<string, number>
}

type Armed = Fault & { left: number; until: number }

export function createTroubles(machine: Machine): Troubles {
  let armed: Armed[] = []
  const counted = new Map<string, number>()

  function happen(one: Armed): void {
    counted.set(one.fault, (counted.get(one.fault) ?? 0) + 1)
    machine.trace(`fault ${one.fault}${'at' in one ? ` at ${one.at}` : ''}`)
    if (--one.left <= 0) armed.splice(armed.indexOf(one), 1)
  }

  function find(names: readonly Fault['fault'][], at: number | null): Armed | undefined {
    armed = armed.filter(({ until }) => until > machine.now())
    return armed.find((one) => {
      return names.includes(one.fault) && (at === null || !('at' in one) || one.at === at)
    })
  }

  const bring = (names: readonly Fault['fault'][], at: number | null): Armed | undefined => {
    const one = find(names, at)
    if (one) happen(one)
    return one
  }

  function atPage(replica: Replica, page: NonNullable<FaultCall['page']>): void {
    const { entries } = page
    if (bring(['listing-fails'], replica.index)) throw failure('unavailable', replica.name, 'list')
    const first = entries[0]
    if (first && bring(['listing-repeats'], replica.index)) entries.push({ ...first })
    if (entries.length > 1 && bring(['listing-reorders'], replica.index)) entries.reverse()
    if (entries.length > 0) {
      const lie = bring(['listing-lies'], replica.index)
      if (lie?.fault === 'listing-lies') {
        entries.length = Math.min(entries.length, lie.keep)
        delete page.resume
      }
    }
  }

  return {
    counted,
    arm(fault) {
      const times = 'times' in fault ? fault.times : 'ms' in fault ? Number.POSITIVE_INFINITY : 1
      const until = 'ms' in fault ? machine.now() + fault.ms : Number.POSITIVE_INFINITY
      armed.push({ ...fault, left: times, until })
    },
    cease() {
      armed = []
    },
    atStore(replica, { when, operation, key, page }) {
      const { index, name } = replica
      const fail = (code: Parameters<typeof failure>[0]) => failure(code, name, operation)
      if (when === 'before') {
        if (bring(['outage'], index)) throw fail('unavailable')
        if (bring(['root-missing'], index)) throw fail('root-missing')
        if (bring(['throttled'], index)) throw fail('throttled')
        if (operation !== 'list' && bring(['denied'], index)) throw fail('denied')
      }
      if (operation === 'read' && when === 'before' && key !== undefined) {
        if (bring(['rotten-read'], index)) replica.rotten = key
      }
      if (page) atPage(replica, page)
      if (when === 'chunk' && operation === 'read' && bring(['cut-read'], index)) {
        throw fail('unavailable')
      }
      if (operation === 'write' && when === 'chunk' && bring(['cut-write'], index)) {
        throw fail('unavailable')
      }
      if (operation === 'write' && when === 'commit' && bring(['no-space'], index)) {
        throw fail('no-space')
      }
      const writes = operation === 'write' || operation === 'remove' || operation === 'copyWithin'
      if (writes && when === 'after' && bring(['reply-lost'], index)) throw fail('unavailable')
    },
    atVault() {
      if (bring(['vault-fails'], null)) throw failure('unavailable', 'vault', 'call')
    },
    atCatalog() {
      if (!bring(['catalog-away'], null)) return
      throw new UserError('catalog-unreachable', 'a fault: the catalog is away', { exit: 6 })
    },
    mishap() {
      const one = bring(['zombie', 'lost-completion'], null)
      return one ? (one.fault as Mishap) : null
    },
  }
}
