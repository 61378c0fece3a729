/** A failing scenario into the least that still fails in the same way. */
import type { Event, Happening, Scenario } from './scenario.ts'

/** How many scenarios are tried, at most: a minute or so. */
const triesMax = 600

export async function shrink(
  scenario: Scenario,
  fails: (candidate: Scenario) => Promise<boolean>,
): Promise<Scenario> {
  let best = scenario
  let tries = 0
  const accept = async (candidate: Scenario): Promise<boolean> => {
    if (++tries > triesMax || !(await fails(candidate))) return false
    best = candidate
    return true
  }
  for (let before: Scenario | null = null; before !== best && tries < triesMax; ) {
    before = best
    await withoutRounds(() => best, accept)
    await withoutEvents(() => best, accept)
    await withoutReplicas(() => best, accept)
    for (const simpler of simplerOf(best)) await accept(simpler(best))
    await earlier(() => best, accept)
  }
  return best
}

type Best = () => Scenario
type Accept = (candidate: Scenario) => Promise<boolean>

async function withoutRounds(best: Best, accept: Accept): Promise<void> {
  for (let i = best().rounds.length - 1; i >= 0; i--) {
    await accept({ ...best(), rounds: best().rounds.toSpliced(i, 1) })
  }
}

/** In halves first, then one by one. */
async function withoutEvents(best: Best, accept: Accept): Promise<void> {
  for (let round = best().rounds.length - 1; round >= 0; round--) {
    const many = best().rounds[round]?.events.length ?? 0
    for (let size = Math.ceil(many / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = (best().rounds[round]?.events.length ?? 0) - size; at >= 0; at -= size) {
        await accept(withEvents(best(), round, (events) => events.toSpliced(at, size)))
      }
    }
  }
}

function withEvents(
  scenario: Scenario,
  round: number,
  change: (events: Event[]) => Event[],
): Scenario {
  const rounds = scenario.rounds.map((one, i) =>
    i === round ? { ...one, events: change(one.events) } : one,
  )
  return { ...scenario, rounds }
}

async function withoutReplicas(best: Best, accept: Accept): Promise<void> {
  while (best().kinds.length > 2) {
    const left = best().kinds.length - 1
    const rounds = best().rounds.map((round) => ({
      ...round,
      events: round.events.filter(({ what }) => isWithin(what, left)),
    }))
    if (!(await accept({ ...best(), kinds: best().kinds.slice(0, left), rounds }))) return
  }
}

function isWithin(what: Happening, replicas: number): boolean {
  const where = 'operation' in what ? what.operation.at : 'at' in what ? what.at : 0
  return [where].flat().every((at) => at < replicas)
}

function simplerOf(scenario: Scenario): ((of: Scenario) => Scenario)[] {
  const dataset = (change: Partial<Scenario['dataset']>) => (of: Scenario) => ({
    ...of,
    dataset: { ...of.dataset, ...change },
  })
  const changes: ((of: Scenario) => Scenario)[] = [
    (of) => ({ ...of, stray: 0 }),
    (of) => ({ ...of, pageKeys: 100 }),
    (of) => ({ ...of, rangeKeys: 100 }),
    (of) => ({ ...of, historyMax: 4_000 }),
    dataset({ batchSize: 1_000 }),
    dataset({ deletes: [] }),
    dataset({ concurrency: null }),
    (of) => ({ ...of, rounds: of.rounds.map((round) => ({ ...round, planned: false })) }),
    ...scenario.kinds.map((_, i) => (of: Scenario) => ({
      ...of,
      kinds: of.kinds.map((kind, at) => (at === i ? ('gcs' as const) : kind)),
    })),
  ]
  return changes.filter((change) => JSON.stringify(change(scenario)) !== JSON.stringify(scenario))
}

/** What happens in mid-run, if it may be before it. */
async function earlier(best: Best, accept: Accept): Promise<void> {
  for (let round = 0; round < best().rounds.length; round++) {
    for (let i = 0; i < (best().rounds[round]?.events.length ?? 0); i++) {
      if (best().rounds[round]?.events[i]?.at === 0) continue
      await accept(
        withEvents(best(), round, (events) => events.with(i, { ...(events[i] as Event), at: 0 })),
      )
    }
  }
}
