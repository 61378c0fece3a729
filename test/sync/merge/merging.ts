/** Short ways to write a merge down, for the tests. */
import { type Merged, type MergeOptions, mergeContents } from '../../../src/sync/merge/merge.ts'

const defaults: MergeOptions = { format: 'auto', lists: 'ordered', csvKey: null }

export interface Asked extends Partial<MergeOptions> {
  key?: string
  contentType?: string
}

export const bytesOf = (text: string) => new TextEncoder().encode(text)
export const textOf = (bytes: Uint8Array) =>
  new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)

/** Sides are called a, b, c … */
export function merged(base: string | null, sides: string[], asked: Asked = {}): Merged {
  const { key = 'notes', contentType, ...options } = asked
  const contents = sides.map((text, index) => ({
    bytes: bytesOf(text),
    label: String.fromCharCode(97 + index),
  }))
  return mergeContents(key, contentType, base === null ? null : bytesOf(base), contents, {
    ...defaults,
    ...options,
  })
}

/** The merged text, or the code and the place. */
export function outcome(base: string | null, sides: string[], asked: Asked = {}): string {
  const result = merged(base, sides, asked)
  if (result.kind === 'merged') return textOf(result.bytes)
  return [result.code, ...(result.at === undefined ? [] : [result.at])].join(' ')
}

export function permutations<T>(values: T[]): T[][] {
  if (values.length < 2) return [values]
  return values.flatMap((value, index) =>
    permutations(values.toSpliced(index, 1)).map((rest) => [value, ...rest]),
  )
}
