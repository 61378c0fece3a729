/** Several contents of one key and what they were made from, into one: pure, and total. */
import type { Key } from '../../model.ts'
import { compareKeys } from '../keys.ts'
import { mergeCsv } from './csv.ts'
import { type Format, formatOf } from './format.ts'
import { mergeJson } from './json.ts'
import { mergeLineSets, mergeText } from './lines.ts'
import { decode, encode, type Version, withoutReturns } from './text.ts'
import { Undecided } from './undecided.ts'
import { mergeYaml } from './yaml.ts'

export interface MergeOptions {
  /** `auto`: by the key's extension, else by the content type, else `text`. */
  format: 'auto' | 'json' | 'yaml' | 'text' | 'lines' | 'csv'
  /** How lists in JSON and YAML merge. `ordered`: diff3 of their elements. `union`: as sets.
   *  `byKey`: elements that are objects are matched by this field, and merged by field. */
  lists: 'ordered' | 'union' | { byKey: string }
  /** The columns that name a row of a CSV file; null: the first column. */
  csvKey: string[] | null
}

/** One of the contents. The label is for messages alone: who has it. */
export interface MergeSide {
  bytes: Uint8Array
  label: string
}

export type UndecidedCode =
  | 'no-base'
  | 'both-changed'
  | 'malformed'
  | 'encoding'
  | 'not-text'
  | 'duplicate-key'

/** `at`: a JSON pointer, a line's number, or a row's key. */
export type Merged =
  | { kind: 'merged'; bytes: Uint8Array; format: string }
  | { kind: 'undecided'; code: UndecidedCode; message: string; at?: string }

/**
 * `base`: what the sides were made from; null where it isn't known. Equal sides count once, a side
 * like the base has changed nothing, and where one alone is left it is the result, byte for byte.
 * The order of `sides` doesn't change the result (I11). Throws nothing: what can't be decided is an
 * answer with a code.
 */
export function mergeContents(
  key: Key,
  contentType: string | undefined,
  base: Uint8Array | null,
  sides: MergeSide[],
  options: MergeOptions,
): Merged {
  const { format, declared } = formatOf(key, contentType, options.format)
  const changed = distinct(sides).filter((side) => !base || !same(side.bytes, base))
  const [only] = changed
  if (changed.length < 2) {
    return { kind: 'merged', bytes: only?.bytes ?? base ?? new Uint8Array(), format }
  }
  try {
    const bytes = mergeChanged(key, format, declared, base, changed, options)
    return { kind: 'merged', bytes, format }
  } catch (error) {
    if (!(error instanceof Undecided)) throw error
    const { code, message, at } = error
    return { kind: 'undecided', code, message, ...(at === undefined ? {} : { at }) }
  }
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0

/** In the order of their bytes, so that nothing depends on names or on the order given. */
function distinct(sides: MergeSide[]): MergeSide[] {
  const found: MergeSide[] = []
  const byLabel = sides.toSorted((a, b) => compareKeys(a.label, b.label))
  for (const side of byLabel.toSorted((a, b) => Buffer.compare(a.bytes, b.bytes))) {
    const last = found.at(-1)
    if (last && same(last.bytes, side.bytes)) last.label += `, ${side.label}`
    else found.push({ ...side })
  }
  return found
}

function mergeChanged(
  key: Key,
  format: Format,
  declared: boolean,
  base: Uint8Array | null,
  sides: MergeSide[],
  options: MergeOptions,
): Uint8Array {
  const read = (bytes: Uint8Array, label: string) => decode(bytes, label, declared)
  const texts = sides.map((side) => read(side.bytes, side.label))
  if (base === null && format !== 'lines') {
    throw new Undecided('no-base', 'what the sides were made from is not known')
  }
  const known = base && read(base, 'the last agreed version')
  const [old, ...versions] = withoutReturns([known ?? emptyLike(texts), ...texts])
  if (!old) throw new Error('no versions')
  const merge = {
    json: () => mergeJson(old, versions, options.lists, /\.jsonc$/i.test(key)),
    yaml: () => mergeYaml(old, versions, options.lists),
    csv: () => mergeCsv(old, versions, options.csvKey),
    lines: () => mergeLineSets(known && old, versions),
    text: () => mergeText(old, versions),
  }[format]
  return encode(merge(), old, versions)
}

/** Line sets without a base: what all sides have in common is their form. */
function emptyLike(sides: Version[]): Version {
  const bom = sides.every((side) => side.bom)
  return { text: '', bom, lineEnd: null, label: '' }
}
