/** What is wrong with a dataset's `conflict-resolution` beyond its shape. */
import { choicesIn, isForAll } from './build-rules.ts'
import type { Dataset, Findings } from './checks.ts'
import { replicasOf } from './config.ts'
import type { Path } from './problems.ts'
import type { WrittenRules } from './rules-schema.ts'
import type { ConfigDocument } from './schema.ts'
import type { ConfigSource } from './source.ts'

const key = 'conflict-resolution'

export function checkStrategies(
  dataset: Dataset,
  document: ConfigDocument,
  source: ConfigSource,
  found: Findings,
): void {
  const { path, written } = dataset
  const own = written[key]
  checkPreferences(dataset, own, [...path, key], 'own', source, found)
  checkUnreached(dataset, own, [...path, key], source, found)
  // Behind a rule of its own that holds for all, they are never asked.
  if (!dataset.built.rules.some(({ name }) => name.startsWith('synchronization.'))) return
  const inherited = document.synchronization?.[key]
  checkPreferences(dataset, inherited, ['synchronization', key], 'inherited', source, found)
}

/** A dataset's own `prefer` names its replicas; an inherited one may name others' as well. */
function checkPreferences(
  { built }: Dataset,
  rules: WrittenRules | undefined,
  path: Path,
  whose: 'own' | 'inherited',
  source: ConfigSource,
  { problems }: Findings,
): void {
  const replicas = replicasOf(built)
  for (const { choice, path: at } of choicesIn(rules, path)) {
    if (choice.prefer === undefined) continue
    const names = [choice.prefer].flat()
    const strange = names.filter((name) => !replicas.includes(name))
    if (strange.length === 0 || (whose === 'inherited' && strange.length < names.length)) continue
    problems.push({
      code: 'config-prefer-not-a-replica',
      message: `${built.name}: prefer names ${strange.join(', ')}, which it does not sync`,
      where: source.where([...at, 'prefer']),
      next: `Its locations: ${replicas.join(', ')}.`,
    })
  }
}

/** Behind a rule that holds for every conflict, no other is asked. */
function checkUnreached(
  { built }: Dataset,
  own: WrittenRules | undefined,
  path: Path,
  source: ConfigSource,
  { warnings }: Findings,
): void {
  if (!Array.isArray(own)) return
  const all = built.rules.findIndex(isForAll)
  if (all < 0 || all + 1 >= own.length) return
  warnings.push({
    code: 'config-rule-unreached',
    message: `${built.name}: rule ${all + 1} holds for all; those behind it are never asked`,
    where: source.where([...path, all + 1]),
    next: 'Put the rule without `match` and `when` last.',
  })
}
