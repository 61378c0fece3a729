/** Which rule decides a conflict, and what it says: the first that matches. */
import { peekBytesMax } from '../../limits.ts'
import type { Condition, Conflict, Contender, Key, Strategy, StrategyRule } from '../../model.ts'
import { compileFilter } from '../filter.ts'
import { sideOf } from './choose.ts'
import { decide } from './decide.ts'
import type { Known, Need, Verdict } from './verdict.ts'

/** The rules that match the key, in order. */
export type RulesOf = (key: Key) => StrategyRule[]

export function compileRules(rules: StrategyRule[]): RulesOf {
  const compiled = rules.map((rule) => ({ rule, matches: compileFilter(rule.match, []) }))
  return (key) => compiled.filter(({ matches }) => matches(key)).map(({ rule }) => rule)
}

/**
 * The verdict of the first of the key's rules whose condition holds. `openFor`: how long the
 * conflict has been open, ms. Behind the last rule it stays open.
 */
export function decideByRules(
  conflict: Conflict,
  rules: StrategyRule[],
  known: Known,
  openFor: number,
): { rule: StrategyRule | null; verdict: Verdict } {
  for (const rule of rules) {
    const holds = rule.when === null || holdsFor(rule.when, conflict, known)
    if (holds === false) continue
    if (holds !== true) return { rule, verdict: holds }
    const verdict = decide(conflict, rule.strategy, known)
    const { later } = rule
    if (verdict.kind !== 'open' || later === null || openFor < later.afterMs) {
      return { rule, verdict }
    }
    const after = decide(conflict, later.strategy, known)
    if (after.kind === 'needs') return { rule, verdict: after }
    return { rule, verdict: { ...after, tried: [...verdict.tried, ...after.tried] } }
  }
  return { rule: null, verdict: { kind: 'open', tried: [] } }
}

/** Up to which size the agreed content of a key with these rules is kept, bytes: what the next
 *  conflict is merged with. 0: nothing of it is needed. */
export function baseBytesMax(rules: StrategyRule[]): number {
  const last = rules.findIndex(({ when }) => when === null)
  const reached = last < 0 ? rules : rules.slice(0, last + 1)
  const strategies = reached.flatMap(({ strategy, later }) => [
    ...chainOf(strategy),
    ...chainOf(later?.strategy),
  ])
  return Math.max(0, ...strategies.map(needsBase))
}

/** It, and all that it falls back on. */
export function chainOf(strategy: Strategy | undefined): Strategy[] {
  if (!strategy) return []
  return [strategy, ...('otherwise' in strategy ? chainOf(strategy.otherwise) : [])]
}

function needsBase(strategy: Strategy): number {
  if (strategy.name === 'custom') return peekBytesMax
  return strategy.name === 'merge' || strategy.name === 'crdt' ? strategy.bytesMax : 0
}

// ── conditions ──────────────────────────────────────────────────────────────────────────────────

function holdsFor(when: Condition, conflict: Conflict, known: Known): boolean | Need {
  const { contenders } = conflict
  const sides = contenders.filter(({ content }) => content !== null)
  const sizes = sides.map(({ content }) => content?.size ?? 0)
  const ages = sides.map(({ at }) => known.now - (at ?? known.now))
  const { replicas, contentTypes, fields } = when
  const cheap =
    within(sizes, when.sizeMin, when.sizeMax) &&
    within(ages, when.ageMinMs, when.ageMaxMs) &&
    (!replicas || contenders.some((one) => sideOf(one).some((name) => replicas.includes(name)))) &&
    (!contentTypes || sides.every((one) => hasType(one, contentTypes)))
  if (!cheap || !fields) return cheap
  if (sizes.some((size) => size > peekBytesMax)) return false
  const { contents } = known
  if (contents === null || contents.bytesMax < peekBytesMax) {
    return { kind: 'needs', what: 'contents', bytesMax: peekBytesMax }
  }
  return sides.every((one) => hasFields(contents.sides.get(one), fields))
}

function within(values: number[], min = 0, max = Number.POSITIVE_INFINITY): boolean {
  return values.every((value) => value >= min && value <= max)
}

function hasType({ content }: Contender, wanted: string[]): boolean {
  const type = content?.metadata?.contentType?.replace(/\s*;.*/s, '').toLowerCase()
  if (type === undefined) return false
  return wanted.some(
    (one) => one === type || (one.endsWith('/*') && type.startsWith(one.slice(0, -1))),
  )
}

function hasFields(bytes: Uint8Array | undefined, fields: Condition['fields'] = []): boolean {
  let document: unknown
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    // Not JSON, or not UTF-8: it has no such field.
    if (error instanceof SyntaxError || error instanceof TypeError) return false
    throw error
  }
  return fields.every(({ path, equals }) => valueAt(document, path) === equals)
}

/** RFC 6901. */
function valueAt(document: unknown, pointer: string): unknown {
  const steps = pointer.split('/').slice(1)
  return steps.reduce<unknown>((value, step) => {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~')
    const inside = typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    return inside ? (value as Record<string, unknown>)[name] : undefined
  }, document)
}
