/** Strategies that make one content of all sides: they need all of them, whole. */
import { mergeInlineBytesMax } from '../../limits.ts'
import type { Conflict, Contender } from '../../model.ts'
import { orderText } from '../contents.ts'
import { latestOf, sideOf } from './choose.ts'
import { type Merged, type MergeTask, runMerge } from './merge-task.ts'
import type { Contents, Known, MergingStrategy, Need, Word } from './verdict.ts'

type Of<N extends MergingStrategy['name']> = Extract<MergingStrategy, { name: N }>

export function byMerging(conflict: Conflict, strategy: Of<'merge'>, known: Known): Word {
  const whole = wholeOf(conflict, strategy.bytesMax, known)
  if ('kind' in whole) return whole
  const { format, lists, csvKey } = strategy
  const sides = whole.sides.map(({ bytes, label }) => ({ bytes, label }))
  const options = { format, lists, csvKey }
  const contentType = contentTypeOf(conflict)
  const { key } = conflict
  const task: MergeTask = { by: 'merge', key, contentType, base: whole.base, sides, options }
  return wordOf(task, strategy, whole.sides, known)
}

export function byCrdt(conflict: Conflict, strategy: Of<'crdt'>, known: Known): Word {
  const whole = wholeOf(conflict, strategy.bytesMax, known)
  if ('kind' in whole) return whole
  const sides = whole.sides.map(({ contender, bytes, label }) => {
    // No replica's name: the outcome would hang on it (I11).
    return { bytes, label, at: contender.at ?? 0, actor: orderText(contender.content) }
  })
  const options = { fields: strategy.fields }
  const task: MergeTask = { by: 'crdt', base: whole.base, sides, options }
  return wordOf(task, strategy, whole.sides, known)
}

interface Side {
  contender: Contender
  bytes: Uint8Array
  label: string
}

/** All contents, or what is to be loaded for it, or why it can't be done. */
function wholeOf(
  { contenders, base }: Conflict,
  bytesMax: number,
  { contents }: Known,
): { base: Contents['base']; sides: Side[] } | Extract<Word, { kind: 'passes' }> | Need {
  if (contenders.some(({ content }) => content === null)) {
    return { kind: 'passes', code: 'deleted', message: 'a side deleted it: nothing to merge' }
  }
  const sizes = [base?.content, ...contenders.map(({ content }) => content)]
  const size = Math.max(...sizes.map((content) => content?.size ?? 0))
  if (size > bytesMax) {
    const message = `${size} bytes are more than is merged here (${bytesMax})`
    return { kind: 'passes', code: 'too-large', message }
  }
  if (contents === null || contents.bytesMax < bytesMax) {
    return { kind: 'needs', what: 'contents', bytesMax }
  }
  const sides = contenders.flatMap((contender): Side[] => {
    const bytes = contents.sides.get(contender)
    return bytes ? [{ contender, bytes, label: sideOf(contender).join(', ') }] : []
  })
  if (sides.length === contenders.length) return { base: contents.base, sides }
  const message = 'a side cannot be read now: nobody who has it can be reached'
  return { kind: 'passes', code: 'out-of-reach', message }
}

/** What comes out as one side already is, is that side: nobody has to be given anything new. */
function wordOf(task: MergeTask, strategy: MergingStrategy, sides: Side[], known: Known): Word {
  const merged: Merged | null =
    known.merges.get(strategy) ?? (isSmall(task) ? runMerge(task) : null)
  if (merged === null) return { kind: 'needs', what: 'merge', strategy, task }
  if (merged.kind === 'undecided') return { ...merged, kind: 'passes' }
  const same = sides.filter(({ bytes }) => sameBytes(bytes, merged.bytes))
  const already = latestOf(same.map(({ contender }) => contender))
  const why = `merged as ${merged.format}`
  if (already.kind === 'wins') return { ...already, why: `${why}: one side has it all` }
  return { kind: 'made', bytes: merged.bytes, why }
}

function isSmall({ base, sides }: MergeTask): boolean {
  const sizes = sides.map(({ bytes }) => bytes.length)
  return sizes.reduce((sum, size) => sum + size, base?.length ?? 0) <= mergeInlineBytesMax
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

/** The first that any side tells, in the order of the contents. */
function contentTypeOf({ contenders }: Conflict): string | undefined {
  return contenders.find(({ content }) => content?.metadata?.contentType)?.content?.metadata
    ?.contentType
}
