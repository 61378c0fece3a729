/** `conflict-resolution` into rules; and every strategy in it, with its place in the file. */
import { mergeBytesMax } from '../limits.ts'
import type { Condition, Strategy, StrategyRule } from '../model.ts'
import { defaultConflictName } from '../sync/strategies/conflict-name.ts'
import type { Path } from './problems.ts'
import { absolute } from './references.ts'
import {
  nameOf,
  type WrittenChoice,
  type WrittenName,
  type WrittenRule,
  type WrittenRules,
} from './rules-schema.ts'
import { bytesOf, durationMs } from './units.ts'

/** What the rules of a dataset are built with. */
export interface Surroundings {
  /** The source first. */
  replicas: string[]
  /** By location: its type. */
  types: Record<string, string>
  /** The folder of the config. */
  base: string
  /** sha256 by absolute path. */
  modules: ReadonlyMap<string, string>
}

/** The dataset's own rules, then those of `synchronization:`, then the last write wins; up to the
 *  first that holds for every conflict. */
export function buildRules(
  own: WrittenRules | undefined,
  inherited: WrittenRules | undefined,
  around: Surroundings,
): StrategyRule[] {
  const rules = [
    ...listOf(own, 'conflict-resolution', around),
    ...listOf(inherited, 'synchronization.conflict-resolution', around),
    { ...everything, name: 'default', strategy: { name: 'last-write-wins' as const } },
  ]
  const last = rules.findIndex(isForAll)
  return rules.slice(0, last + 1)
}

const everything = { match: [], when: null, later: null }

export function isForAll({ match, when }: StrategyRule): boolean {
  return match.length === 0 && when === null
}

function listOf(written: WrittenRules | undefined, place: string, around: Surroundings) {
  if (written === undefined) return []
  if (!Array.isArray(written)) return [buildRule(asRule(written), place, around)]
  return written.map((rule, i) => buildRule(rule, `${place} ${i + 1}`, around))
}

function asRule(written: WrittenName | WrittenRule): WrittenRule {
  return typeof written === 'string' ? { strategy: written } : written
}

function buildRule(written: WrittenRule, name: string, around: Surroundings): StrategyRule {
  const later = written['auto-resolve-after']
  return {
    name,
    match: written.match === undefined ? [] : [written.match].flat(),
    when: written.when ? buildCondition(written.when) : null,
    strategy: buildStrategy(written, around),
    later: later
      ? { afterMs: durationMs(later.after), strategy: buildStrategy(later.strategy, around) }
      : null,
  }
}

function buildCondition(written: NonNullable<WrittenRule['when']>): Condition {
  const { size, age, replica, field } = written
  const types = written['content-type']
  const amount = <K extends string, T>(key: K, value: T | undefined, read: (value: T) => number) =>
    (value === undefined ? {} : { [key]: read(value) }) as Partial<Record<K, number>>
  return {
    ...amount('sizeMin', size?.['at-least'], bytesOf),
    ...amount('sizeMax', size?.['at-most'], bytesOf),
    ...amount('ageMinMs', age?.['at-least'], durationMs),
    ...amount('ageMaxMs', age?.['at-most'], durationMs),
    ...(replica === undefined ? {} : { replicas: [replica].flat() }),
    ...(types === undefined
      ? {}
      : { contentTypes: [types].flat().map((one) => one.toLowerCase()) }),
    ...(field === undefined
      ? {}
      : { fields: Object.entries(field).map(([path, equals]) => ({ path, equals })) }),
  }
}

/** A strategy by its written form, or by its name alone, as a person may give it. */
export function buildStrategy(
  written: WrittenName | WrittenChoice,
  around: Surroundings,
): Strategy {
  const choice = typeof written === 'string' ? { strategy: written } : written
  const { replicas } = around
  const fallback = choice.otherwise ? { otherwise: buildStrategy(choice.otherwise, around) } : {}
  const bytesMax = choice['max-size'] === undefined ? mergeBytesMax : bytesOf(choice['max-size'])
  const ofType = (isIt: (type: string | undefined) => boolean): Strategy => {
    const rank = replicas.filter((one) => isIt(around.types[one]))
    return { name: 'prefer', ranks: [rank], ...fallback }
  }
  const name = nameOf(choice) ?? 'manual'
  switch (name) {
    case 'last-write-wins': {
      const skew = choice['max-clock-skew']
      return { name, ...(skew === undefined ? {} : { skewMs: durationMs(skew) }), ...fallback }
    }
    case 'prefer': {
      const named = new Set([choice.prefer ?? []].flat())
      const ranks = [...named].filter((one) => replicas.includes(one)).map((one) => [one])
      return { name, ranks, ...fallback }
    }
    case 'source-wins':
      return { name: 'prefer', ranks: [replicas.slice(0, 1)], ...fallback }
    case 'cloud-wins':
      return ofType((type) => type !== 'file')
    case 'edge-wins':
      return ofType((type) => type === 'file')
    case 'update-wins':
    case 'delete-wins':
      return { name, otherwise: { name: 'last-write-wins' }, ...fallback }
    case 'keep-both':
      return { name, as: choice.as ?? defaultConflictName }
    case 'merge':
      return { name, ...mergeOptions(choice), bytesMax, ...fallback }
    case 'crdt': {
      const fields = Object.entries(choice.fields ?? {}).map(([path, type]) => ({ path, type }))
      return { name, fields, bytesMax, ...fallback }
    }
    case 'custom': {
      const module = absolute(choice.module ?? '', around.base)
      return { name, module, sha256: around.modules.get(module) ?? '' }
    }
    default:
      return { name }
  }
}

function mergeOptions(choice: WrittenChoice) {
  const { format = 'auto', lists = 'ordered' } = choice
  const key = choice['csv-key']
  return {
    format,
    lists: typeof lists === 'string' ? lists : { byKey: lists['by-key'] },
    csvKey: key === undefined ? null : [key].flat(),
  }
}

/** Every strategy with options that is written here, also those that others fall back on. */
export function* choicesIn(
  written: WrittenRules | undefined,
  path: Path,
): Generator<{ choice: WrittenChoice; path: Path }> {
  if (Array.isArray(written)) {
    for (const [i, rule] of written.entries()) yield* choicesIn(rule, [...path, i])
    return
  }
  const rule = written
  if (rule === undefined || typeof rule === 'string') return
  const inner = [rule['auto-resolve-after']?.strategy]
  yield* chain(rule, path)
  for (const one of inner) yield* chain(one, [...path, 'auto-resolve-after', 'strategy'])
}

function* chain(
  choice: WrittenName | WrittenChoice | undefined,
  path: Path,
): Generator<{ choice: WrittenChoice; path: Path }> {
  if (choice === undefined || typeof choice === 'string') return
  yield { choice, path }
  yield* chain(choice.otherwise, [...path, 'otherwise'])
}
