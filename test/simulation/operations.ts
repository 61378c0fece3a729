/**
 * What users do to the replicas of a dataset, as plain data: the simulation plays it on memory
 * stores, the chaos tests play the same on real ones. An operation names a replica by its index.
 */
import { createHash } from 'node:crypto'
import type { Key } from '../../src/model.ts'
import type { Dice } from '../sync/world.ts'

/**
 * Content as data: no two authors' `author` are the same, so equal contents were made equal.
 * `parts`: each with the number of its last edit, so that edits of different parts can be merged.
 * `bytes`: padded to that size; absent: as long as it comes out.
 */
export type Text =
  | { form: 'empty' }
  | { form: 'plain'; author: number; bytes?: number }
  | { form: 'lines' | 'json'; parts: number[] }

/** `at`: one replica, or several with the same edit. All are without any condition, as users are.
 *  What isn't there can't be removed, touched or renamed: then nothing happens. */
export type Operation =
  | { do: 'put'; why: PutReason; at: number[]; key: Key; text: Text; contentType?: string }
  | { do: 'remove'; at: number[]; key: Key }
  | { do: 'rename'; at: number; key: Key; to: Key }
  /** The same bytes once more: another token. */
  | { do: 'touch'; at: number; key: Key }
  /** Every key goes: a wrong command, or a disk that wasn't mounted. */
  | { do: 'remove-all'; at: number }

export type PutReason = 'create' | 'edit' | 'edit-back' | 'same-edit' | 'twin' | 'large' | 'empty'

/** What the generator must know of the world. `at`: what users last saw there, or what a listing
 *  says; `past`: every content that a key ever had, the oldest first. */
export interface Scene {
  replicas: number
  keys: readonly Key[]
  at(replica: number, key: Key): Text | null
  past(key: Key): readonly Text[]
  /** A number that no text has. */
  author(): number
  /** Bytes of a part: a large text has several. */
  partBytes: number
}

export const plainKeys: readonly Key[] = [
  'a.txt',
  'a/x',
  'dir/deep/c',
  'dir.b',
  'doc.json',
  'notes.txt',
  'z',
]

/** Twins by case and by Unicode form, and keys that UTF-16 and UTF-8 order differently. */
export const oddKeys: readonly Key[] = [
  'A.TXT',
  'Dir/deep/c',
  'caf\u00e9',
  'cafe\u0301',
  '\u{1f600}',
  '\uffee',
  'a',
  'a b+c%20&d',
]

const weights = {
  create: 5,
  edit: 10,
  remove: 5,
  'edit-back': 3,
  'same-edit': 3,
  rename: 3,
  touch: 2,
  twin: 2,
  large: 1,
  empty: 1,
  'remove-all': 1,
} as const

/** One more thing that a user does. */
export function operationOf(dice: Dice, scene: Scene): Operation {
  const at = dice.below(scene.replicas)
  const key = dice.pick(scene.keys)
  const there = scene.keys.filter((one) => scene.at(at, one) !== null)
  const known = there.length > 0 ? dice.pick(there) : null
  const kind = kindOf(dice)
  const put = (why: PutReason, name: Key, text: Text, where = [at]): Operation => {
    return { do: 'put', why, at: where, key: name, text }
  }
  if (known !== null) {
    const edited = edit(dice, scene, scene.at(at, known) as Text)
    switch (kind) {
      case 'edit':
        return put('edit', known, edited)
      case 'edit-back': {
        const past = scene.past(known)
        return past.length > 0 ? put(kind, known, dice.pick(past)) : put('edit', known, edited)
      }
      case 'same-edit':
        return put('same-edit', known, edited, some(dice, scene.replicas))
      case 'remove':
        return { do: 'remove', at: dice.below(4) ? [at] : some(dice, scene.replicas), key: known }
      case 'rename':
        return { do: 'rename', at, key: known, to: key }
      case 'touch':
        return { do: 'touch', at, key: known }
      case 'remove-all':
        return { do: 'remove-all', at }
      case 'create':
      case 'twin':
      case 'large':
      case 'empty':
    }
  }
  switch (kind) {
    case 'large': {
      const bytes = scene.partBytes * (1 + dice.below(3)) + dice.below(3) - 1
      return put('large', key, { form: 'plain', author: scene.author(), bytes })
    }
    case 'empty':
      return put('empty', key, { form: 'empty' })
    case 'twin':
      return put('twin', twinOf(key), fresh(dice, scene, key))
    default:
      return put(scene.at(at, key) ? 'edit' : 'create', key, fresh(dice, scene, key))
  }
}

function kindOf(dice: Dice): keyof typeof weights {
  const kinds = Object.entries(weights) as [keyof typeof weights, number][]
  const total = kinds.reduce((sum, [, weight]) => sum + weight, 0)
  let left = (dice.below(10_000) / 10_000) * total
  for (const [kind, weight] of kinds) {
    left -= weight
    if (left < 0) return kind
  }
  return 'edit'
}

/** Two replicas or more. */
function some(dice: Dice, replicas: number): number[] {
  const all = dice.shuffle(Array.from({ length: replicas }, (_, i) => i))
  return all.slice(0, 2 + dice.below(Math.max(1, replicas - 1))).sort()
}

/** The same name to a store that folds case or normalises Unicode. */
function twinOf(key: Key): Key {
  const upper = key.toUpperCase()
  if (upper !== key) return upper
  return key.normalize('NFC') === key ? key.normalize('NFD') : key.normalize('NFC')
}

function fresh(dice: Dice, scene: Scene, key: Key): Text {
  const author = scene.author()
  if (key.endsWith('.json')) return { form: 'json', parts: [author, author, author] }
  if (key.endsWith('.txt')) return { form: 'lines', parts: Array(6).fill(author) }
  // Small numbers of bytes that are often equal, so that sizes tell nothing.
  return { form: 'plain', author, bytes: 8 + dice.below(2) }
}

function edit(dice: Dice, scene: Scene, text: Text): Text {
  const author = scene.author()
  if (text.form === 'empty') return { form: 'plain', author }
  if (text.form === 'plain') return { ...text, author }
  const parts = [...text.parts]
  parts[dice.below(parts.length)] = author
  return { ...text, parts }
}

export function bytesOf(text: Text): Buffer {
  switch (text.form) {
    case 'empty':
      return Buffer.alloc(0)
    case 'plain': {
      const head = `#${text.author}.`
      if (text.bytes === undefined || text.bytes <= head.length) return Buffer.from(head)
      return Buffer.alloc(text.bytes, head)
    }
    case 'lines':
      return Buffer.from(text.parts.map((part, i) => `line ${i}: ${part}\n`).join(''))
    case 'json':
      return Buffer.from(`${JSON.stringify(fieldsOf(text.parts), null, 2)}\n`)
  }
}

const fieldsOf = (parts: number[]) =>
  Object.fromEntries(parts.map((part, i) => [`field${i}`, part]))

/** What a listing or a file can be recognised by. */
export const sha256Of = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex')

/** For a story: what was done, in few words. */
export function wordsOf(operation: Operation): string {
  const { at } = operation
  const where = Array.isArray(at) ? at.join(' and ') : `${at}`
  switch (operation.do) {
    case 'put':
      return `${operation.why} ${operation.key} at ${where}: ${wordsOfText(operation.text)}`
    case 'rename':
      return `rename ${operation.key} to ${operation.to} at ${where}`
    case 'remove-all':
      return `remove everything at ${where}`
    default:
      return `${operation.do} ${operation.key} at ${where}`
  }
}

export function wordsOfText(text: Text): string {
  if (text.form === 'empty') return 'nothing'
  if (text.form === 'plain') return `#${text.author}${text.bytes ? `, ${text.bytes} bytes` : ''}`
  return `${text.form} ${text.parts.join(' ')}`
}

// ── who remembers ───────────────────────────────────────────────────────────────────────────────

/**
 * A scene that remembers what users did and takes it for granted that the rest is synced: good
 * enough to choose by, where nobody looks at the stores. `synced` after each run.
 */
export interface Remembered extends Scene {
  played(operation: Operation): void
  /** What a replica really has now, where somebody looked. */
  saw(replica: number, key: Key, text: Text | null): void
  synced(): void
}

export function createScene(replicas: number, keys: readonly Key[], partBytes: number): Remembered {
  const held = Array.from({ length: replicas }, () => new Map<Key, Text>())
  const past = new Map<Key, Text[]>()
  const removed = new Set<Key>()
  let authors = 0
  const remove = (at: number, key: Key) => {
    if (held[at]?.delete(key)) removed.add(key)
  }
  const put = (at: number, key: Key, text: Text) => {
    held[at]?.set(key, text)
    removed.delete(key)
    const known = past.get(key) ?? []
    past.set(key, [...known, text])
  }
  return {
    replicas,
    keys,
    partBytes,
    at: (replica, key) => held[replica]?.get(key) ?? null,
    past: (key) => past.get(key) ?? [],
    author: () => ++authors,
    played(operation) {
      if (operation.do === 'put')
        for (const at of operation.at) put(at, operation.key, operation.text)
      if (operation.do === 'remove') for (const at of operation.at) remove(at, operation.key)
      if (operation.do === 'remove-all') {
        for (const key of held[operation.at]?.keys() ?? []) remove(operation.at, key)
      }
      if (operation.do === 'rename') {
        const text = held[operation.at]?.get(operation.key)
        if (!text || operation.to === operation.key) return
        remove(operation.at, operation.key)
        put(operation.at, operation.to, text)
      }
    },
    saw(replica, key, text) {
      if (text === null) held[replica]?.delete(key)
      else held[replica]?.set(key, text)
    },
    synced() {
      const all = new Map(held.flatMap((one) => [...one]))
      for (const key of removed) all.delete(key)
      removed.clear()
      for (const one of held) {
        one.clear()
        for (const [key, text] of all) one.set(key, text)
      }
    },
  }
}
