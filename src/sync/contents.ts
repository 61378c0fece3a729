/** Groups what replicas show into distinct contents, in an order that names don't change (I11). */
import type { Content, Entry } from '../model.ts'
import {
  ALGORITHMS,
  compareBytes,
  contentKey,
  hasDigest,
  mergeContent,
  mergeDigests,
  metadataText,
} from './content.ts'
import type { Seen } from './observe.ts'

export type SeenEntry = Seen & { entry: Entry }

/** One distinct content, with all that is known of it, and who has it. */
export interface Group {
  content: Content
  members: SeenEntry[]
}

/** Distinct contents of these replicas; or whose digests must be learned to tell. */
export function groupContents(seen: SeenEntry[]): { groups: Group[] } | { unknown: string[] } {
  // What equals a member equals its group: md5 here and crc32c there meet in a third that has both.
  let sides: Group[] = []
  for (const one of seen) {
    const same = sides.filter(({ members }) => members.some((other) => equalBytes(one, other)))
    const others = sides.filter((side) => !same.includes(side))
    sides = [...others, groupOf([...same.flatMap(({ members }) => members), one])]
  }
  const unknown = new Set<string>()
  for (const [i, a] of sides.entries()) {
    for (const b of sides.slice(i + 1)) {
      if (compareBytes(a.content, b.content) !== 'unknown') continue
      for (const replica of toLearn(a, b)) unknown.add(replica)
    }
  }
  if (unknown.size > 0) return { unknown: [...unknown] }
  return { groups: sides.flatMap(splitByMetadata).sort(byContent) }
}

function equalBytes(a: SeenEntry, b: SeenEntry): boolean {
  return compareBytes(a.entry, b.entry) === 'same'
}

/**
 * Of two contents that can't be compared, the one that shows less is asked, at one of its replicas;
 * both where neither shows anything. Empty: nothing more can be learned. Who has a sha256 is never
 * asked, and who was asked has one: that is why asking ends.
 */
export function toLearn(a: Group, b: Group): string[] {
  const [less, more] = weakness(a.content) > weakness(b.content) ? [a, b] : [b, a]
  const asked = ask(less)
  if (hasDigest(less.content.digests)) return asked.length > 0 ? asked : ask(more)
  // Of which nothing is known, and which nobody can show: the other's digest wouldn't help.
  if (asked.length === 0 || hasDigest(more.content.digests)) return asked
  const other = ask(more)
  return other.length > 0 ? [...asked, ...other] : []
}

function ask({ members }: Group): string[] {
  const one = members.find(({ entry }) => entry.digests.sha256 === undefined)
  return one ? [one.replica] : []
}

function weakness({ digests }: Content): number {
  const strongest = ALGORITHMS.findIndex((algorithm) => digests[algorithm] !== undefined)
  return strongest < 0 ? ALGORITHMS.length : strongest
}

/** Equal bytes with different metadata are different contents; who knows none joins the first. What
 *  is known of the bytes is known of all of them: whom it was asked of names nobody (I11). */
function splitByMetadata({ content, members }: Group): Group[] {
  const classes = Map.groupBy(
    members,
    ({ entry }) => entry.metadata && metadataText(entry.metadata),
  )
  const silent = classes.get(undefined) ?? []
  classes.delete(undefined)
  const [first = [], ...others] = [...classes]
    .sort(([a = ''], [b = '']) => (a < b ? -1 : 1))
    .map(([, sameMetadata]) => sameMetadata)
  return [[...first, ...silent], ...others].map((same) => {
    const group = groupOf(same)
    return { ...group, content: mergeDigests(group.content, content) }
  })
}

function groupOf(members: SeenEntry[]): Group {
  const [first, ...rest] = members.map(({ entry }) => bare(entry))
  return { content: rest.reduce(mergeContent, first as Content), members }
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
