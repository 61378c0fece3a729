/** In which way a key's content is merged. */
import type { Key } from '../../model.ts'
import type { MergeOptions } from './merge.ts'

export type Format = Exclude<MergeOptions['format'], 'auto'>

const byExtension: Record<string, Format> = {
  json: 'json',
  jsonc: 'json',
  geojson: 'json',
  jsonld: 'json',
  webmanifest: 'json',
  yaml: 'yaml',
  yml: 'yaml',
  csv: 'csv',
  tsv: 'csv',
  txt: 'text',
  md: 'text',
}

/** `declared`: a name, a type or an option says so; else it is text if its bytes are. */
export function formatOf(
  key: Key,
  contentType: string | undefined,
  format: MergeOptions['format'],
): { format: Format; declared: boolean } {
  if (format !== 'auto') return { format, declared: true }
  const found = ofName(key) ?? ofType(contentType)
  return { format: found ?? 'text', declared: found !== null }
}

function ofName(key: Key): Format | null {
  const name = key.slice(key.lastIndexOf('/') + 1)
  // .gitignore, .dockerignore, .npmignore …
  if (/^\.[a-z]+ignore$/.test(name)) return 'lines'
  const extension = /\.([^.]+)$/.exec(name)?.[1]?.toLowerCase() ?? ''
  return Object.hasOwn(byExtension, extension) ? (byExtension[extension] ?? null) : null
}

function ofType(contentType: string | undefined): Format | null {
  const type = contentType?.split(';')[0]?.trim().toLowerCase() ?? ''
  if (/^(application|text)\/(x-)?json$|\+json$/.test(type)) return 'json'
  if (/^(application|text)\/(x-|vnd\.)?yaml$|\+yaml$/.test(type)) return 'yaml'
  if (/^text\/(csv|tab-separated-values)$/.test(type)) return 'csv'
  return type.startsWith('text/') ? 'text' : null
}
