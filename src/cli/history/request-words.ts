/** What a person asked of history or of conflicts, in a few words. */
import type { Catalog, RunRecord } from '../../catalog/catalog.ts'
import type { Request } from '../../model.ts'
import { time } from '../output.ts'

/** '' where nobody asked: the run was one of the whole dataset. */
export async function askedWords(catalog: Catalog, { request }: RunRecord): Promise<string> {
  const record = request === null ? null : await catalog.getRequest(request)
  return record ? `${requestWords(record.request)}, asked for by ${record.by}` : ''
}

function requestWords(request: Request): string {
  if (request.kind === 'resolve') return 'conflicts resolved'
  const below = request.prefix === '' ? '' : ` below ${request.prefix}`
  if (request.kind === 'undo') return `undo of run ${request.run}${below}`
  const { to } = request
  if ('at' in to) return `restore to ${time(to.at)}${below}`
  if ('beforeRun' in to) return `restore to before run ${to.beforeRun}${below}`
  return `restore of ${to.key} to its version of run ${to.version}`
}
