/** What a person decided of open conflicts: each, if it is still the one that was looked at. */
import { namedStrategy } from '../src/config/index.ts'
import type { Conflict, Contender, Content, Directive, Key, SkipCode } from '../src/model.ts'
import { compareBytes, compareContent } from '../src/sync/content.ts'
import { madeContender } from '../src/sync/resolve.ts'
import { sideOf } from '../src/sync/strategies/choose.ts'
import { decide } from '../src/sync/strategies/decide.ts'
import { isKept } from '../src/sync/undone.ts'
import type { Deps, RunContext } from './run-context.ts'
import type { Judge } from './verdict.ts'

export interface Told {
  /** user@host. */
  by: string
  directive: Extract<Directive, { do: 'resolve' }>
}

/** Why it isn't done; for the item and for the person. */
export interface Refused {
  code: SkipCode
  reason: string
}

const pageKeys = 1_000

/** By key, of the run's request as far as it is about conflicts. `keys`: in key order. */
export async function toldOf(
  { catalog }: Deps,
  { record }: RunContext,
  keys: Key[],
): Promise<Map<Key, Told>> {
  const told = new Map<Key, Told>()
  const [first] = keys
  const request = record.request === null ? null : await catalog.getRequest(record.request)
  if (request?.kind !== 'resolve' || first === undefined) return told
  const wanted = new Set(keys)
  for (let after: Key | null = null; told.size < wanted.size; ) {
    const filter = { id: request.id, range: { from: first, to: null }, after, limit: pageKeys }
    const page = await catalog.requestKeys(filter)
    for (const { key, directive } of page) {
      if (directive.do === 'resolve' && wanted.has(key))
        told.set(key, { by: request.by, directive })
    }
    if (page.length < pageKeys) break
    after = page[page.length - 1]?.key ?? null
  }
  return told
}

/** null: it is the conflict that was looked at. Compared side by side: a stat may show more digests
 *  than the listing did by which it was opened. */
export async function movedOn(
  { catalog }: Deps,
  conflict: Conflict,
  { directive }: Told,
): Promise<Refused | null> {
  const [known] = await catalog.findConflicts({ ids: [directive.conflict], limit: 1 })
  const refused = (reason: string): Refused => ({ code: 'moved-on', reason })
  if (!known || known.key !== conflict.key) return refused('it is another conflict now')
  if (known.state !== 'open') return refused(`conflict ${known.id} is ${known.state}`)
  const same =
    known.identity === directive.identity && isSame(known.conflict.contenders, conflict.contenders)
  return same ? null : refused('it moved on: its sides are not those that were looked at')
}

function isSame(a: Contender[], b: Contender[]): boolean {
  const has = (sides: Contender[], { content }: Contender) =>
    sides.some((one) =>
      content === null || one.content === null
        ? one.content === content
        : compareContent(one.content, content) === 'same',
    )
  return a.length === b.length && a.every((one) => has(b, one)) && b.every((one) => has(a, one))
}

/** A judge for what was said; or a side, or content of their own; or why it can't be done. */
export async function judgeOf(
  deps: Deps,
  context: RunContext,
  conflict: Conflict,
  { directive: { take } }: Told,
  signal: AbortSignal,
): Promise<Judge | { winner: Contender; vaulted: boolean; why: string } | Refused> {
  if ('strategy' in take) {
    const strategy = strategyOf(context, conflict, take.strategy)
    if (strategy) return (known) => ({ rule: null, verdict: decide(conflict, strategy, known) })
    const reason = `${take.strategy} is no strategy that needs no more than its name`
    return { code: 'undecided', reason }
  }
  if ('replica' in take) {
    const winner = conflict.contenders.find((one) => sideOf(one).includes(take.replica))
    if (winner) return await ofSide(deps, context, winner, `${take.replica} was taken`, signal)
    return { code: 'moved-on', reason: `${take.replica} takes no side in it` }
  }
  return await ownContent(deps, context, conflict, take.content, signal)
}

type Chosen = Exclude<Awaited<ReturnType<typeof judgeOf>>, Judge>

/** Of one that is decided anew, a side may be in the vault alone. */
async function ofSide(
  deps: Deps,
  context: RunContext,
  winner: Contender,
  why: string,
  signal: AbortSignal,
): Promise<Chosen> {
  const vaulted = isKept(winner)
  if (!vaulted) return { winner, vaulted, why }
  const vault = await deps.vault(context.config)
  if (await vault.has(winner.content as Content, signal)) return { winner, vaulted, why }
  const reason = 'no replica has this content any more, nor has the vault'
  return { code: 'not-kept', reason }
}

async function ownContent(
  deps: Deps,
  context: RunContext,
  conflict: Conflict,
  content: Content,
  signal: AbortSignal,
): Promise<Chosen> {
  if (conflict.kind === 'drift') {
    return { code: 'undecided', reason: 'one-way, content comes from the source alone' }
  }
  const why = 'content was given'
  const has = ({ content: own }: Contender) => own !== null && compareBytes(own, content) === 'same'
  const winner = conflict.contenders.find(has)
  if (winner) return { winner, vaulted: isKept(winner), why }
  const vault = await deps.vault(context.config)
  if (!(await vault.has(content, signal))) {
    return { code: 'not-kept', reason: 'the vault does not have the content that was given' }
  }
  return { winner: madeContender(conflict, content), vaulted: true, why }
}

/** With the options of the key's own rules; what it falls back on there was not asked for. */
function strategyOf({ config, dataset, rulesOf }: RunContext, { key }: Conflict, name: string) {
  return namedStrategy(name, rulesOf(key), dataset, config)
}
