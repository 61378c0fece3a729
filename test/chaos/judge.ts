/** What must hold when a session has become quiet: by the stores, by Tidemark, by others. */
import { openCatalogOf } from '../../src/catalog/of-config.ts'
import type { Session } from '../../src/cli/session.ts'
import { loadConfig } from '../../src/config/index.ts'
import { askBoth } from './foreign.ts'
import * as oracle from './oracle.ts'
import { findRclone, rcloneMissing } from './rclone.ts'
import { type ChaosOptions, dataset, type Figures, isMerged, type World } from './world.ts'

/** Last, for it plants differences: what doesn't hold, in words. */
export async function judge(
  world: World,
  figures: Figures,
  options: ChaosOptions,
): Promise<string[]> {
  const problems = [
    ...(await judgeStores(world, figures)),
    ...(await judgeByCommands(world, figures.openConflicts > 0)),
    ...(await askForeign(world, options, figures)),
  ]
  for (const problem of problems) options.say(`PROBLEM: ${problem}`)
  return problems
}

async function judgeStores(world: World, figures: Figures): Promise<string[]> {
  const { replicas, users, stateDir } = world
  const { book } = users
  const found = await oracle.readAll(replicas)
  const session = await sessionOf(world)
  const problems: string[] = []
  try {
    const { catalog } = session
    const waiting = await catalog.findConflicts({ dataset, states: ['open'], limit: 1_000 })
    const open = new Set(waiting.map(({ key }) => key))
    figures.openConflicts = open.size
    figures.keys = new Set(found.flatMap((one) => [...one.keys()])).size
    problems.push(
      ...oracle.differences(replicas, found, open),
      ...oracle.strangers(found, book, isMerged),
      ...oracle.vanished(found, book),
    )
    const replaced = oracle.replaced(found, book)
    const context = { state: stateDir, signal: new AbortController().signal }
    const recovered = await oracle.recover(replaced, book, context, session, dataset)
    figures.recovered = recovered.read
    problems.push(...recovered.problems)
    for (const { state } of await catalog.listRuns({ dataset, limit: 10_000 })) {
      figures.runs[state] = (figures.runs[state] ?? 0) + 1
    }
    if (figures.runs.running) problems.push(`${figures.runs.running} runs are left running`)
  } finally {
    await session.close()
  }
  return problems
}

/** What Tidemark says of itself must agree. */
async function judgeByCommands({ program }: World, open: boolean): Promise<string[]> {
  const wanted: [string[], number[]][] = [
    [['verify', '--deep'], open ? [0, 5] : [0]],
    [['vault', 'check', '--deep'], [0]],
    [['audit', 'verify', dataset], [0]],
  ]
  const problems: string[] = []
  for (const [args, codes] of wanted) {
    const said = await program.ask(args)
    if (codes.includes(said.code ?? -1)) continue
    problems.push(
      `tidemark ${args.join(' ')} ended with ${said.code}: ${said.stdout}${said.stderr}`,
    )
  }
  return problems
}

async function askForeign(
  { replicas, program, folder }: World,
  { servers, say }: ChaosOptions,
  figures: Figures,
): Promise<string[]> {
  const rclone = findRclone()
  if (rclone === null) {
    say(rcloneMissing)
    return []
  }
  const { compared, problems } = await askBoth({ replicas, servers, program, folder, rclone })
  figures.foreign = compared
  return problems
}

async function sessionOf({ configPath, stateDir }: World): Promise<Session> {
  const config = await loadConfig(configPath)
  const catalog = await openCatalogOf(config, stateDir)
  return { config, catalog, close: () => catalog.close() }
}
