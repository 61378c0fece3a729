/** Groups what replicas show into distinct contents, in an order that names don't change (I11). */
import type { Content, Entry } from '../model.ts'
import { compareBytes, contentKey, hasDigest, mergeContent, metadataText } from './content.ts'
import type { Seen } from './observe.ts'

export interface Group {
  content: Content
  members: (Seen & { entry: Entry })[]
}

/** Distinct contents of these replicas; or whose digests must be learned to tell. */
export function groupContents(
  seen: (Seen & { entry: Entry })[],
): { groups: Group[] } | { unknown: string[] } {
  const unknown = new Set<string>()
  const byBytes: (Seen & { entry: Entry })[][] = []
  for (const one of seen) {
    let home: (Seen & { entry: Entry })[] | undefined
    for (const group of byBytes) {
      for (const other of group) {
        const verdict = compareBytes(one.entry, other.entry)
        if (verdict === 'unknown') for (const replica of toLearn(one, other)) unknown.add(replica)
        if (verdict === 'same') home = group
      }
    }
    if (home) home.push(one)
    else byBytes.push([one])
  }
  if (unknown.size > 0) return { unknown: [...unknown] }
  return { groups: byBytes.flatMap(splitByMetadata).sort(byContent) }
}

/** Of two entries that can't be compared, the one that shows nothing is asked first. */
function toLearn(a: Seen & { entry: Entry }, b: Seen & { entry: Entry }): string[] {
  const bare = [a, b].filter(({ entry }) => !hasDigest(entry.digests))
  const asked = bare.length > 0 ? bare : [a, b].filter(({ entry }) => !entry.digests.sha256)
  return asked.map(({ replica }) => replica)
}

/** Equal bytes with different metadata are different contents; who knows none joins the first. */
function splitByMetadata(members: (Seen & { entry: Entry })[]): Group[] {
  const texts = new Set<string>()
  for (const { entry } of members) if (entry.metadata) texts.add(metadataText(entry.metadata))
  const classes = [...texts].sort()
  const groups: Group[] = (classes.length === 0 ? [''] : classes)
    .map((text) => ({
      text,
      members: members.filter(
        ({ entry }) =>
          (entry.metadata ? metadataText(entry.metadata) : (classes[0] ?? '')) === text,
      ),
    }))
    .map(({ members }) => ({ content: contentOf(members), members }))
  return groups
}

function contentOf(members: { entry: Entry }[]): Content {
  const [first, ...rest] = members.map(({ entry }) => bare(entry))
  return rest.reduce(mergeContent, first as Content)
}

/** The content of an entry, without its key, token and time. */
export function bare(entry: Content): Content {
  return {
    size: entry.size,
    digests: entry.digests,
    ...(entry.metadata === undefined ? {} : { metadata: entry.metadata }),
  }
}

function byContent(a: Group, b: Group): number {
  const x = orderText(a.content)
  const y = orderText(b.content)
  return x < y ? -1 : x > y ? 1 : 0
}

export function orderText(content: Content | null): string {
  if (content === null) return ''
  return `${contentKey(content) ?? ''} ${content.metadata ? metadataText(content.metadata) : ''}`
}
