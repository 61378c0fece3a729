/** `DATASET:KEY@RUN`, as people name a version: a dataset has no colon, and a run is a number. */
import type { HistoryLine } from '../../catalog/catalog.ts'
import { UserError } from '../../errors.ts'
import type { Key, RunNumber } from '../../model.ts'
import { datasetNamed, type Session } from '../session.ts'

export interface VersionName {
  dataset: string
  key: Key
  run: RunNumber
}

export function nameOf(dataset: string, key: Key, run: RunNumber): string {
  return `${dataset}:${key}@${run}`
}

export function parseVersionName(text: string): VersionName {
  const [, dataset, key, run] = /^([^:]+):(.+)@(\d{1,15})$/s.exec(text) ?? []
  if (dataset !== undefined && key !== undefined) return { dataset, key, run: Number(run) }
  throw new UserError('version-name', `"${text}" is not the name of a version`, {
    next: 'Write DATASET:KEY@RUN, as `tidemark log DATASET` prints it.',
  })
}

/** Its line of history. Throws where there is none: never made, or no longer kept. */
export async function versionNamed(
  { catalog, config }: Session,
  { dataset, key, run }: VersionName,
): Promise<HistoryLine> {
  datasetNamed(config, dataset)
  const [line] = await catalog.getLines(dataset, [{ key, run }])
  if (line) return line
  const message = `${dataset} has no version of "${key}" of run ${run}`
  throw new UserError('version-unknown', message, {
    next: `See: tidemark log ${dataset} ${shellWord(key)}`,
  })
}

/** As a shell takes it for one word. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
