import { type Config, type DatasetConfig, replicasOf } from '../../config/index.ts'
import { EXIT, UserError } from '../../errors.ts'
import { createLocations } from '../../locations.ts'
import { rebind } from '../../rebind.ts'
import { hostId } from '../../temporal/host.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { confirm } from '../confirm.ts'
import { openRunOf } from '../open-run.ts'
import { count } from '../output.ts'
import { glance } from '../serve.ts'
import { openSession, type Session } from '../session.ts'

/** A location is another place now, and that is meant (I12): what was known of it is forgotten. */
export async function run(
  context: CommandContext,
  [name]: string[],
  options: CommandOptions,
): Promise<number> {
  const location = name as string
  const { output, signal } = context
  const session = await openSession(context)
  const locations = createLocations()
  try {
    const { config, catalog } = session
    checkKnown(config, location)
    const datasets = config.datasets.filter((one) => replicasOf(one).includes(location))
    const known = await catalog.getLocation(location)
    const connector = await locations.open(config, location)
    const found = await connector.identity({ signal, create: false })
    const host = found.startsWith('file:') ? hostId(context.state) : null
    const same = known?.identity === found && known.host === host
    if (known === null || (same && options.forget !== true)) {
      const why = known === null ? 'no run has seen it yet' : 'it is the place it was'
      output.result({ location, was: known?.identity ?? null, is: found, rebound: false })
      output.line(`${location}: ${why} (${found}); nothing is to be done`)
      if (same)
        output.line(`  fill it again with what it lost: tidemark rebind ${location} --forget`)
      return EXIT.ok
    }
    await refuseWhileRunning(context, session, datasets)
    if (same) output.line(`${location} is ${found}, as it was`)
    else {
      output.line(`${location} was ${known.identity}${hostWords(known.host, host)}`)
      output.line(`${' '.repeat(location.length)}  is ${found}`)
    }
    output.line('  What is known of it is forgotten: as if it never held a key.')
    for (const dataset of datasets) output.line(`  ${nextSync(dataset, location)}`)
    await confirm(context, {
      ask: 'Rebind it?',
      yes: options.yes === true,
      wanted: `rebinding ${location} wants a yes`,
      next: `tidemark rebind ${location}${same ? ' --forget' : ''} --yes`,
      refused: `${location} stays bound to what it was`,
    })
    const names = datasets.map(({ name }) => name)
    const rebinding = { location, host, datasets: names, by: context.by }
    const { is, forgotten } = await rebind(catalog, connector, rebinding, signal)
    output.result({ location, was: known.identity, is, rebound: true, forgotten })
    output.line(`${location} is bound to ${is}; ${count(forgotten, 'key')} forgotten there`)
    for (const { name } of datasets) output.line(`  next: tidemark plan ${name}`)
    return EXIT.ok
  } finally {
    await locations.close()
    await session.close()
  }
}

function checkKnown(config: Config, location: string): void {
  if (config.locations[location]) return
  throw new UserError('location-unknown', `the config has no location "${location}"`, {
    where: config.file,
    next: `It has: ${Object.keys(config.locations).join(', ')}`,
  })
}

function hostWords(was: string | null, is: string | null): string {
  return was !== null && was !== is ? `, on host ${was}` : ''
}

/** A run that is under way looked at the old place. */
async function refuseWhileRunning(
  context: CommandContext,
  session: Session,
  datasets: DatasetConfig[],
): Promise<void> {
  const { temporal } = await glance(context, session)
  try {
    for (const { name } of datasets) {
      const recent = await session.catalog.listRuns({ dataset: name, limit: 20 })
      const unended = recent.find(({ state }) => state === 'running')
      const open = temporal ? (await openRunOf(temporal, name)) !== null : unended !== undefined
      if (!open) continue
      const next = temporal
        ? `Wait for its end, or: tidemark cancel ${name}`
        : `It was interrupted; end it first: tidemark sync ${name}`
      const run = unended ? `run ${unended.run}` : 'a run'
      throw new UserError('run-under-way', `${run} of ${name} is under way`, {
        next,
        exit: EXIT.unreachable,
      })
    }
  } finally {
    await temporal?.close()
  }
}

function nextSync({ name, direction, source, drift }: DatasetConfig, location: string): string {
  const sync = `The next sync of ${name}`
  const never = 'nothing is deleted because of what it lacks'
  if (direction === 'two-way') {
    return (
      `${sync} adopts what is equal, writes to it what it lacks, puts what only it has to the` +
      ` others, and takes other contents for conflicts; ${never}.`
    )
  }
  if (source === location) {
    return `${sync} takes what it has now for the source's content; ${never}.`
  }
  const differing = {
    conflict: 'opens a conflict where its content differs',
    overwrite: 'overwrites what differs (kept in the vault first)',
    keep: 'leaves what differs as it is',
  }
  const adopts = `${sync} adopts what is equal, writes to it what it lacks`
  return `${adopts}, and ${differing[drift]}; ${never}.`
}
