/** Conflicts decided without contents, as most are: who wins by the policy's rules, or nobody. */
import type { Conflict, Contender, Policy, Strategy, StrategyRule } from '../../src/model.ts'
import { decideByRules } from '../../src/sync/strategies/rules.ts'
import type { Known } from '../../src/sync/strategies/verdict.ts'

export const nothingKnown: Known = {
  now: 2_000,
  contents: null,
  answers: new Map(),
  merges: new Map(),
}

/** All conflicts by one strategy. */
export function ruleOf(strategy: Strategy): StrategyRule[] {
  return [{ name: 'test', match: [], when: null, strategy, later: null }]
}

export function winnerOf(
  conflict: Conflict,
  { rules }: Pick<Policy, 'rules'>,
): { winner: Contender; why: string } | null {
  const { verdict } = decideByRules(conflict, rules, nothingKnown, 0)
  if (verdict.kind === 'needs') throw new Error('contents are needed')
  return verdict.kind === 'wins' ? { winner: verdict.winner, why: verdict.why } : null
}
