/** A strategy that a person names: what the name alone says, or a rule of the key does. */
import type { Strategy, StrategyRule } from '../model.ts'
import { chainOf } from '../sync/strategies/rules.ts'
import { buildStrategy } from './build-rules.ts'
import { type Config, type DatasetConfig, replicasOf } from './config.ts'
import { plainNames, type WrittenName } from './rules-schema.ts'

/** Those whose options a rule may give. */
const withOptions: Strategy['name'][] = ['keep-both', 'merge', 'crdt', 'custom']

/** `name`: as in the config, also with underscores. `rules`: those of the key. What a rule's
 *  strategy falls back on wasn't asked for. null: there is none of that name. */
export function namedStrategy(
  name: string,
  rules: StrategyRule[],
  dataset: DatasetConfig,
  { file, locations }: Config,
): Strategy | null {
  const word = name.replaceAll('_', '-') as WrittenName
  const known = rules.flatMap(({ strategy, later }) => [
    ...chainOf(strategy),
    ...chainOf(later?.strategy),
  ])
  const own = known.find((one) => one.name === word && withOptions.includes(one.name))
  if (own) {
    const { otherwise: _, ...alone } = own as Strategy & { otherwise?: Strategy }
    return alone as Strategy
  }
  if (!plainNames.some((one) => one === word)) return null
  const types = Object.entries(locations).map(([place, { type }]) => [place, type])
  return buildStrategy(word, {
    replicas: replicasOf(dataset),
    types: Object.fromEntries(types),
    base: file,
    modules: new Map(),
  })
}
