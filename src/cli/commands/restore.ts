import { UserError } from '../../errors.ts'
import type { RestorePoint } from '../../model.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { planThenApply } from '../history/carry-out.ts'
import { parseMoment } from '../history/moment.ts'
import { parseVersionName } from '../history/version-name.ts'
import { wholeNumber } from '../numbers.ts'
import { datasetNamed } from '../session.ts'

/** A dataset, or what is below a prefix, or one key, back to what was agreed. */
export async function run(
  context: CommandContext,
  [dataset]: string[],
  options: CommandOptions,
): Promise<number> {
  const to = pointOf(dataset as string, options)
  const prefix = typeof options.prefix === 'string' ? options.prefix : ''
  return await planThenApply(context, options, async ({ config }) => {
    const { name } = datasetNamed(config, dataset as string)
    const overwriteLater = options.overwriteLater === true
    return { dataset: name, request: { kind: 'restore', to, prefix, overwriteLater } }
  })
}

function pointOf(dataset: string, options: CommandOptions): RestorePoint {
  const beforeRun = wholeNumber(options, 'beforeRun', { max: Number.MAX_SAFE_INTEGER })
  const { at, version, prefix } = options
  const given = [at, version, beforeRun].filter((one) => one !== undefined)
  if (given.length !== 1) {
    throw new UserError('usage-invalid', 'a restore goes back to one point', {
      next: 'Give one of --at TIME, --version DATASET:KEY@RUN and --before-run RUN.',
    })
  }
  if (typeof at === 'string') return { at: parseMoment(at, Date.now()) }
  if (typeof version !== 'string') return { beforeRun: beforeRun as number }
  const named = parseVersionName(version)
  if (named.dataset !== dataset) {
    throw new UserError('usage-invalid', `${version} is a version of ${named.dataset}`, {
      next: `tidemark restore ${named.dataset} --version …`,
    })
  }
  if (prefix !== undefined) {
    throw new UserError('usage-invalid', 'a version is of one key: there is no --prefix', {})
  }
  return { version: named.run, key: named.key }
}
