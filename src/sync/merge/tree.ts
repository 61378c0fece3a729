/** Merging by field: what JSON and YAML have in common. */
import { compareKeys } from '../keys.ts'
import type { MergeOptions } from './merge.ts'
import { mergeOrder, mergeSequences } from './sequence.ts'
import { pick } from './text.ts'
import { type Clash, Undecided } from './undecided.ts'

/** Deeper documents are refused: recursion must not meet the end of the stack. */
export const depthMax = 1_000

/**
 * A document as data. `id`: trees of equal content have the same, whatever their layout, among
 * those that one `Numbers` numbered. `node`: how the format finds it in its text again.
 */
export interface Tree<N> {
  kind: 'map' | 'list' | 'leaf'
  id: number
  /** What must be equal before the parts are looked at: a YAML tag and anchor. */
  meta: string
  node: N
  /** A leaf's value, for people and for matching by it. */
  text: string
  /** A map's fields by name; a list's elements by place. */
  parts: Map<string, Tree<N>>
}

/** Gives the same number to the same text. Trees are compared by the numbers of their parts, so
 *  that comparing is linear in their size. */
export type Numbers = (text: string) => number

export function countUp(): Numbers {
  const known = new Map<string, number>()
  return (text) => {
    const number = known.get(text)
    if (number !== undefined) return number
    known.set(text, known.size)
    return known.size - 1
  }
}

/** A leaf's parts: one for all, since most of a document is leaves. */
export const noParts = new Map<string, never>()

/** The way from the root, last name first: a pointer is written only where somebody asks for it. */
export type Path = { name: string; up: Path } | null

export function pointer(path: Path): string {
  const names: string[] = []
  for (let at = path; at; at = at.up) names.push(escaped(at.name))
  return names
    .reverse()
    .map((name) => `/${name}`)
    .join('')
}

export function idOf(
  numbers: Numbers,
  kind: 'map' | 'list',
  meta: string,
  parts: Iterable<[string, { id: number }]>,
): number {
  const list = kind === 'list'
  const pairs = [...parts].map(([name, { id }]) => (list ? `${id}` : `${numbers(name)}:${id}`))
  // The order of a map's fields is layout.
  const content = list ? pairs : pairs.sort(compareKeys)
  return numbers(`${kind} ${numbers(meta)} ${content.join(' ')}`)
}

/** What a place becomes: a tree as it stands in one of the versions; or `like` with these parts,
 *  each of which stands in a version as `as` does and has the content `to`. */
export type Result<N> =
  | { id: number; take: Tree<N> }
  | { id: number; like: Tree<N>; parts: { name: string; as: Tree<N>; to: Result<N> }[] }

export interface TreeSide<N> {
  tree: Tree<N>
  label: string
}

interface Context {
  lists: MergeOptions['lists']
  numbers: Numbers
  clashes: Clash[]
}

type Place<N> = Tree<N> | undefined

/**
 * The sides in an order that their content gives (I11): it decides on layout alone. Where it
 * clashes, `clashes` grows and the result is of no use.
 */
export function mergeTrees<N>(
  base: Tree<N>,
  sides: TreeSide<N>[],
  at: string,
  context: Context,
): Result<N> {
  const labels = sides.map((side) => side.label)
  const trees = sides.map((side) => side.tree)
  return merge(base, trees, at, { ...context, labels }) ?? { id: base.id, take: base }
}

interface Inner extends Context {
  labels: string[]
}

/** null: the place is empty. */
function merge<N>(base: Place<N>, sides: Place<N>[], at: string, inner: Inner): Result<N> | null {
  const changed = sides.flatMap((tree, side) => (tree?.id === base?.id ? [] : [{ tree, side }]))
  const [first] = changed
  if (!first) return base ? { id: base.id, take: base } : null
  if (changed.every(({ tree }) => tree?.id === first.tree?.id)) {
    return first.tree ? { id: first.tree.id, take: first.tree } : null
  }
  const alike = (tree: Place<N>) =>
    base && tree && tree.kind === base.kind && tree.meta === base.meta && base.kind !== 'leaf'
  if (base && first.tree && changed.every(({ tree }) => alike(tree))) {
    const trees = sides.map((tree) => tree ?? base)
    const merged =
      base.kind === 'map' ? mergeParts(base, trees, at, inner) : mergeList(base, trees, at, inner)
    const parts = merged.map(({ name, to }): [string, Result<N>] => [name, to])
    return {
      id: idOf(inner.numbers, base.kind as 'map', base.meta, parts),
      like: first.tree,
      parts: merged,
    }
  }
  const labels = changed.map(({ side }) => inner.labels[side] ?? '')
  inner.clashes.push({ what: at === '' ? 'the whole document' : `the field ${at}`, at, labels })
  return null
}

/** The changed sides' order goes first: a side like the base has nothing to say about it. */
function orderOf<N>(base: Tree<N>, sides: Tree<N>[]): Tree<N>[] {
  return [...sides.filter((side) => side.id !== base.id), base]
}

type Parts<N> = { name: string; as: Tree<N>; to: Result<N> }[]

function mergeParts<N>(base: Tree<N>, sides: Tree<N>[], at: string, inner: Inner): Parts<N> {
  const versions = orderOf(base, sides)
  const names = mergeOrder(versions.map((version) => version.parts.keys()))
  return names.flatMap((name) => {
    const places = sides.map((side) => side.parts.get(name))
    const to = merge(base.parts.get(name), places, `${at}/${escaped(name)}`, inner)
    const as = versions.find((version) => version.parts.has(name))?.parts.get(name)
    if (!to || !as) return []
    // Of equal values that one is taken whose layout a side may have changed.
    if ('take' in to && to.id === as.id) return [{ name, as, to: { id: to.id, take: as } }]
    return [{ name, as: 'take' in to ? to.take : as, to }]
  })
}

/** As in a JSON pointer. */
export function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

function mergeList<N>(base: Tree<N>, sides: Tree<N>[], at: string, inner: Inner): Parts<N> {
  if (inner.lists === 'union') return mergeSets(base, sides)
  if (inner.lists !== 'ordered') {
    const keyed = keyedLists(base, sides, inner.lists.byKey, at, inner)
    if (keyed) return mergeParts(keyed.base, keyed.sides, at, inner)
  }
  return mergeElements(base, sides, at, inner)
}

function mergeElements<N>(base: Tree<N>, sides: Tree<N>[], at: string, inner: Inner): Parts<N> {
  const old = [...base.parts.values()]
  const lists = sides.map((side) => [...side.parts.values()])
  const ids = lists.map((list) => list.map((element) => element.id))
  const pieces = mergeSequences(
    old.map(({ id }) => id),
    ids,
    'apart',
  )
  return pieces.flatMap((piece) => {
    if (piece.kind === 'run') {
      const list = piece.side === null ? old : (lists[piece.side] ?? [])
      return list.slice(piece.from, piece.to).map(asItStands)
    }
    const place = `${at}/${piece.start}`
    const labels = piece.sides.map((side) => inner.labels[side] ?? '')
    inner.clashes.push({
      what: `the list ${at || 'as a whole'} at element ${piece.start}`,
      at: place,
      labels,
    })
    return []
  })
}

const asItStands = <N>(tree: Tree<N>, place: number) => ({
  name: String(place),
  as: tree,
  to: { id: tree.id, take: tree },
})

/** All that a side added, nothing that a side removed; each once. */
function mergeSets<N>(base: Tree<N>, sides: Tree<N>[]): Parts<N> {
  const byId = (list: Tree<N>) =>
    new Map([...list.parts.values()].toReversed().map((element) => [element.id, element]))
  const old = byId(base)
  const sets = sides.map(byId)
  const orders = orderOf(base, sides).map(
    (list) => new Set([...list.parts.values()].map(({ id }) => id)),
  )
  return mergeOrder(orders).flatMap((id) => {
    const there = pick(
      old.has(id),
      sets.map((set) => set.has(id)),
    )
    const element = [...sets, old].find((set) => set.has(id))?.get(id)
    return there && element ? [asItStands(element, 0)] : []
  })
}

/** The lists as maps by their elements' key field; null where an element has no such field, or one
 *  that isn't a plain value: then they merge in order. */
function keyedLists<N>(base: Tree<N>, sides: Tree<N>[], field: string, at: string, inner: Inner) {
  const keyed = [base, ...sides].map((list, version): Tree<N> | null => {
    const parts = new Map<string, Tree<N>>()
    for (const element of list.parts.values()) {
      const key = element.kind === 'map' ? element.parts.get(field) : undefined
      if (key?.kind !== 'leaf') return null
      const name = `${field}=${key.text}`
      if (parts.has(name)) {
        const who = version === 0 ? 'the last agreed version' : inner.labels[version - 1]
        throw new Undecided(
          'duplicate-key',
          `${who}: the list ${at} has two elements with ${name}`,
          at,
        )
      }
      parts.set(name, element)
    }
    return { ...list, parts }
  })
  const [first, ...rest] = keyed.filter((list) => list !== null)
  return first && rest.length === sides.length ? { base: first, sides: rest } : null
}
