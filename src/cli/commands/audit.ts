import { UserError } from '../../errors.ts'
import { log } from '../audit/log.ts'
import { sign } from '../audit/sign.ts'
import { verify } from '../audit/verify.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { openSession, type Session } from '../session.ts'

/** What was decided, by whom; and whether that is still what was written. Asks the catalog alone,
 *  and where signed heads are, that location. */
export async function run(
  context: CommandContext,
  [action, name]: string[],
  options: CommandOptions,
): Promise<number> {
  const session = await openSession(context)
  try {
    const datasets = await datasetsOf(session, name)
    switch (action) {
      case 'log':
        return await log(context, session.catalog, datasets, options)
      case 'verify':
        return await verify(context, session, datasets, options)
      case 'sign':
        return await sign(context, session, datasets, options)
      default:
        throw new UserError('usage-invalid', `there is no audit ${action}`, {
          next: 'It is: tidemark audit log, verify or sign',
        })
    }
  } finally {
    await session.close()
  }
}

/** Those that the catalog has: the audit of a dataset that has left the config stays. */
async function datasetsOf({ config, catalog }: Session, name?: string): Promise<string[]> {
  const known = await catalog.datasetNames()
  if (name === undefined) return known
  if (known.includes(name) || config.datasets.some((one) => one.name === name)) return [name]
  const has = [...new Set([...config.datasets.map((one) => one.name), ...known])]
  throw new UserError('dataset-unknown', `neither the config nor the catalog has "${name}"`, {
    where: config.file,
    next: `There are: ${has.join(', ')}`,
  })
}
