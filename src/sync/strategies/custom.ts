/** A user's module: what it is given, and what its answer means. Calling it is an activity's. */
import { peekBytesMax } from '../../limits.ts'
import type { Conflict, ConflictKind, Contender } from '../../model.ts'
import { keepBoth, sideOf } from './choose.ts'
import { defaultConflictName } from './conflict-name.ts'
import { sameBytes } from './merging.ts'
import type { Contents, CustomStrategy, Known, Word } from './verdict.ts'

/** What the module's function is called with. Texts are UTF-8 of at most 1 MiB; null: larger, or
 *  not UTF-8, or not there (a delete, a base that nobody has any more). */
export interface CustomInput {
  key: string
  kind: ConflictKind
  base: { size: number; at: string; text: string | null } | null
  /** In the order of their contents; a side that deleted the key has no size and no time. */
  sides: {
    replicas: string[]
    deleted: boolean
    size: number | null
    /** ISO 8601. */
    at: string | null
    contentType: string | null
    agreed: boolean
    text: string | null
  }[]
}

/** What it may return. */
export type CustomOutput =
  | { take: string }
  | { content: string }
  | { keepBoth: true }
  | { manual: string }

export function askModule(conflict: Conflict, strategy: CustomStrategy, known: Known): Word {
  if (known.contents === null || known.contents.bytesMax < peekBytesMax) {
    return { kind: 'needs', what: 'contents', bytesMax: peekBytesMax }
  }
  const answer = known.answers.get(strategy.module)
  if (!answer) return { kind: 'needs', what: 'answer', strategy, conflict }
  if ('failed' in answer) return { kind: 'passes', ...answer.failed }
  return wordOf(answer.said, conflict, known.contents)
}

export function customInput(conflict: Conflict, { base, sides }: Contents): CustomInput {
  const time = (at: number) => new Date(at).toISOString()
  const { key, kind, contenders } = conflict
  const made = conflict.base
  return {
    key,
    kind,
    base: made?.content
      ? { size: made.content.size, at: time(made.at), text: textOf(base ?? undefined) }
      : null,
    sides: contenders.map((one) => ({
      replicas: sideOf(one),
      deleted: one.content === null,
      size: one.content?.size ?? null,
      at: one.at === null ? null : time(one.at),
      contentType: one.content?.metadata?.contentType ?? null,
      agreed: one.head,
      text: textOf(sides.get(one)),
    })),
  }
}

function textOf(bytes: Uint8Array | undefined): string | null {
  if (bytes === undefined || bytes.length > peekBytesMax) return null
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    if (error instanceof TypeError) return null
    throw error
  }
}

const shapes = "{take: REPLICA}, {content: TEXT}, {keepBoth: true} or {manual: 'why'}"

/** Characters of its answer that are told. */
const shownMax = 100

function wordOf(said: unknown, { contenders }: Conflict, contents: Contents): Word {
  const nonsense = (what: string): Word => {
    const message = `the module returned ${what}; expected ${shapes}`
    return { kind: 'passes', code: 'custom-nonsense', message }
  }
  // Of any size, and a BigInt is no JSON.
  if (typeof said !== 'object' || said === null) return nonsense(String(said).slice(0, shownMax))
  const [[name, value] = [], ...more] = Object.entries(said)
  if (name === undefined || more.length > 0) return nonsense(`${Object.keys(said).length} keys`)
  if (name === 'manual' && typeof value === 'string') {
    return { kind: 'passes', code: 'custom-manual', message: value }
  }
  if (name === 'take' && typeof value === 'string') {
    const winner = contenders.find((one) => sideOf(one).includes(value))
    if (winner) return { kind: 'wins', winner, why: `the module took ${value}` }
    const shown = JSON.stringify(value.slice(0, shownMax))
    return nonsense(`{take: ${shown}}, which takes no side`)
  }
  if (name === 'keepBoth' && value === true) return keepBoth(contenders, defaultConflictName)
  if (name !== 'content' || typeof value !== 'string')
    return nonsense(`{${name.slice(0, shownMax)}: …}`)
  const bytes = new TextEncoder().encode(value)
  const winner = contenders.find((one) => hasBytes(one, bytes, contents))
  const why = 'the module made it'
  return winner ? { kind: 'wins', winner, why } : { kind: 'made', bytes, why }
}

function hasBytes(one: Contender, bytes: Uint8Array, { sides }: Contents): boolean {
  const own = sides.get(one)
  return own !== undefined && sameBytes(own, bytes)
}
