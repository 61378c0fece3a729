/** What a field of the document is: as it was declared, else as its JSON looks. */
import { UserError } from '../../errors.ts'
import { decimalOf } from './decimal.ts'
import type { Json } from './json.ts'

export type FieldType = 'register' | 'multi-value' | 'set' | 'counter' | 'list' | 'map'

/** What a field of the document is, where it isn't what its JSON looks like. */
export interface CrdtField {
  // A JSON pointer; `*` stands for any name: `/tags`, `/devices/*/count`. Items of a list have no
  // names: only `*` leads into them. The first match holds.
  path: string
  type: FieldType
}

/** The declarations that begin at one place of the document. */
export type Declared = { names: string[]; type: FieldType }[]

const none: Declared = []

/** Throws a UserError (`crdt-path`). */
export function declaredOf(fields: CrdtField[]): Declared {
  return fields.map(({ path, type }) => {
    if (!/^(\/([^~]|~[01])*)$/.test(path)) {
      throw new UserError('crdt-path', `The path of a field is no JSON pointer: ${path}`, {
        next: 'Begin it with /, write ~1 for a / and ~0 for a ~ in a name, * for any name.',
      })
    }
    const names = path.slice(1).split('/')
    return { names: names.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~')), type }
  })
}

/** `name` null: an item of a list. */
export function below(declared: Declared, name: string | null): Declared {
  if (declared.length === 0) return none
  return declared.flatMap(({ names: [first, ...rest], type }) =>
    first !== undefined && (first === '*' || first === name) ? [{ names: rest, type }] : [],
  )
}

export function typeOf(declared: Declared, json: Json): FieldType {
  const type = declared.find(({ names }) => names.length === 0)?.type
  return type ?? ({ scalar: 'register', list: 'list', fields: 'map' } as const)[json.kind]
}

/** The first field that isn't what it was declared to be, by its JSON pointer. */
export function misfit(
  json: Json,
  declared: Declared,
  at = '',
): { at: string; type: FieldType } | null {
  if (declared.length === 0) return null
  const type = typeOf(declared, json)
  if (!fits(type, json)) return { at, type }
  if (type === 'map' && json.kind === 'fields') {
    for (const [name, { value }] of json.fields) {
      const found = misfit(value, below(declared, name), `${at}/${pointed(name)}`)
      if (found) return found
    }
  }
  if (type === 'list' && json.kind === 'list') {
    for (const [i, item] of json.items.entries()) {
      const found = misfit(item, below(declared, null), `${at}/${i}`)
      if (found) return found
    }
  }
  return null
}

function fits(type: FieldType, json: Json): boolean {
  if (type === 'map') return json.kind === 'fields'
  if (type === 'set' || type === 'list') return json.kind === 'list'
  if (type === 'counter') return json.kind === 'scalar' && decimalOf(json.text) !== null
  return true
}

function pointed(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}
