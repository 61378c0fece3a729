/** A line of history, for people and for scripts. */
import type { HistoryLine } from '../../catalog/catalog.ts'
import type { Content } from '../../model.ts'
import { bytes, printable, time } from '../output.ts'
import { nameOf } from './version-name.ts'

export function shownLine(dataset: string, line: HistoryLine) {
  const { key, version, parents, reason, agreedAt } = line
  return {
    version: nameOf(dataset, key, version.run),
    dataset,
    key,
    run: version.run,
    reason,
    agreedAt: new Date(agreedAt).toISOString(),
    /** When its replica was seen to have it, by the store's clock. */
    at: new Date(version.at).toISOString(),
    origin: version.origin,
    deleted: version.content === null,
    content: version.content && shownContent(version.content),
    parents: parents.map((run) => nameOf(dataset, key, run)),
  }
}

export function shownContent({ size, digests, metadata }: Content) {
  return { size, digests, ...(metadata && { metadata }) }
}

export const headers = ['version', 'agreed', 'what', 'size', 'from', 'content']
export const numbers = ['size']

export function rowOf(dataset: string, { key, version, reason, agreedAt }: HistoryLine): string[] {
  const { content, origin, run } = version
  return [
    printable(nameOf(dataset, key, run)),
    time(agreedAt),
    reason,
    content ? bytes(content.size) : 'deleted',
    origin,
    content ? shortDigest(content) : '',
  ]
}

/** Enough to tell contents apart by eye. */
export function shortDigest({ digests }: Content): string {
  const [name, hex] = Object.entries(digests)[0] ?? []
  const { sha256, md5 } = digests
  if (sha256) return `sha256 ${sha256.slice(0, 12)}`
  return md5 ? `md5 ${md5.slice(0, 12)}` : name ? `${name} ${hex}` : ''
}
