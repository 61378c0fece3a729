/** What holds for all documents and all edits of them; by dice. TIDEMARK_CASES=20 looks longer. */
import { describe, expect, it } from 'vitest'
import { type CrdtField, type CrdtSide, mergeByCrdt } from '../../../src/sync/crdt/merge-by-crdt.ts'
import { type Dice, diceOf } from '../world.ts'

const seed = Number(process.env.TIDEMARK_SEED ?? 20_261_121)
const cases = 3_000 * Number(process.env.TIDEMARK_CASES ?? 1)

type Value = null | number | string | Value[] | { [name: string]: Value }
type Fields = { [name: string]: Value }

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const names = ['a', 'b', 'c', '10']

function anyValue(dice: Dice, depth: number): Value {
  const kind = dice.below(depth > 0 ? 6 : 3)
  if (kind < 2) return dice.below(4)
  if (kind === 2) return dice.pick(['x', 'y', null])
  if (kind === 3) return Array.from({ length: dice.below(4) }, () => anyValue(dice, depth - 1))
  return anyFields(dice, depth - 1)
}

function anyFields(dice: Dice, depth: number): Fields {
  const some = names.filter(() => dice.below(2) === 0)
  return Object.fromEntries(some.map((name) => [name, anyValue(dice, depth)]))
}

/** As a program would change it, at some places. */
function edited(value: Value, dice: Dice, depth: number): Value {
  if (dice.below(8) === 0) return anyValue(dice, depth)
  if (Array.isArray(value)) {
    const kept = value.filter(() => dice.below(5) > 0)
    const items = kept.map((item) => (dice.below(3) === 0 ? edited(item, dice, depth - 1) : item))
    return dice.below(2) === 0
      ? items
      : items.toSpliced(dice.below(items.length + 1), 0, anyValue(dice, depth - 1))
  }
  return isFields(value) ? editedFields(value, dice, depth) : anyValue(dice, 0)
}

function editedFields(fields: Fields, dice: Dice, depth: number): Fields {
  const made: Fields = { ...fields }
  for (const name of names) {
    const value = made[name]
    const turn = dice.below(8)
    if (turn === 0) delete made[name]
    else if (turn === 1 && value === undefined) made[name] = anyValue(dice, depth - 1)
    else if (turn < 4 && value !== undefined) made[name] = edited(value, dice, depth - 1)
  }
  return made
}

function sideOf(value: Value, at: number, indent: number): CrdtSide {
  const text = JSON.stringify(value, null, indent)
  return { bytes: bytesOf(text), label: `at ${at}`, at, actor: text }
}

const bytesOf = (text: string) => new TextEncoder().encode(text)

function merged(base: Value | null, sides: CrdtSide[], fields: CrdtField[] = []): string {
  const before = base === null ? null : bytesOf(JSON.stringify(base))
  const result = mergeByCrdt(before, sides, { fields })
  if (result.kind !== 'merged') throw new Error(result.message)
  return new TextDecoder().decode(result.bytes)
}

/** Scalars, lists and empty objects below fields alone, by their path; undefined: none is there. */
function at(value: Value | undefined, path: string[]): Value | undefined {
  return path.reduce<Value | undefined>(
    (one, name) => (isFields(one) && Object.hasOwn(one, name) ? one[name] : undefined),
    value,
  )
}

function pathsOf(value: Value, path: string[] = []): string[][] {
  if (!isFields(value)) return [path]
  return Object.entries(value).flatMap(([name, one]) => pathsOf(one, [...path, name]))
}

const declarations: CrdtField[] = [
  { path: '/a', type: 'register' },
  { path: '/b', type: 'multi-value' },
  { path: '/*/c', type: 'register' },
]

describe('any documents, any edits', { timeout: 300_000 }, () => {
  const each = (check: (dice: Dice, base: Fields, sides: Fields[]) => void) => {
    for (let story = 0; story < cases; story++) {
      const dice = diceOf(seed + story)
      const base = anyFields(dice, 3)
      const sides = Array.from({ length: 2 + dice.below(2) }, () => editedFields(base, dice, 3))
      check(dice, base, sides)
    }
  }

  it('I11: the order of the sides makes no difference, with a base or without', () => {
    each((dice, base, values) => {
      const sides = values.map((one) => sideOf(one, dice.below(3), dice.pick([0, 2])))
      const fields = dice.pick([[], declarations])
      const before = dice.below(3) === 0 ? null : base
      const result = merged(before, sides, fields)
      for (let i = 0; i < 3; i++) {
        const other = dice.shuffle(sides).map((side) => ({ ...side, label: `${i}` }))
        expect(merged(before, other, fields)).toBe(result)
      }
    })
  })

  it('sides that are as the base leave the other as it is', () => {
    each((dice, base, [one = {}]) => {
      const sides = [sideOf(base, 9, 0), sideOf(one, 5, 2), sideOf(base, 1, 0)]
      expect(JSON.parse(merged(base, dice.shuffle(sides), declarations))).toEqual(one)
    })
  })

  it('a field that only one side changed is as that side has it', () => {
    let checked = 0
    each((dice, base, values) => {
      const result = JSON.parse(
        merged(
          base,
          values.map((one) => sideOf(one, dice.below(3), 0)),
        ),
      )
      for (const [i, mine] of values.entries()) {
        const others = values.toSpliced(i, 1)
        for (const path of [...pathsOf(base), ...pathsOf(mine)]) {
          const around = path.map((_, length) => path.slice(0, length))
          const [was, is] = [at(base, path), at(mine, path)]
          const untouched = others.every(
            (other) =>
              JSON.stringify(at(other, path)) === JSON.stringify(was) &&
              around.every((one) => isFields(at(other, one))),
          )
          // Removed with what was around it: who changed something else there has it back.
          const alone = is !== undefined || isFields(at(mine, path.slice(0, -1)))
          if (JSON.stringify(is) === JSON.stringify(was) || !untouched || !alone) continue
          checked++
          expect(at(result, path)).toEqual(is)
        }
      }
    })
    expect(checked).toBeGreaterThan(cases)
  })
})

describe('lists, sets and counters', { timeout: 300_000 }, () => {
  const fields: CrdtField[] = [
    { path: '/s', type: 'set' },
    { path: '/n', type: 'counter' },
  ]
  type Model = { l: string[]; s: string[]; n: number }

  const changed = ({ l, s, n }: Model, dice: Dice, who: number): Model => {
    const list = l.filter(() => dice.below(5) > 0)
    for (let i = 0; i < dice.below(4); i++) {
      list.splice(dice.below(list.length + 1), 0, `${who}.${i}`)
    }
    const kept = s.filter(() => dice.below(4) > 0)
    const added = ['a', 'b', 'c', 'd', 'e'].filter((one) => !s.includes(one) && dice.below(3) === 0)
    return { l: list, s: dice.shuffle([...kept, ...added]), n: n + dice.below(9) - 4 }
  }

  it('nothing that was inserted is lost, each side’s order stays, all that was counted counts', () => {
    for (let story = 0; story < cases; story++) {
      const dice = diceOf(seed + story)
      const base: Model = {
        l: Array.from({ length: dice.below(6) }, (_, i) => `base ${i}`),
        s: ['a', 'b', 'c'].slice(dice.below(3)),
        n: dice.below(9),
      }
      const sides = Array.from({ length: 2 + dice.below(2) }, (_, i) => changed(base, dice, i))
      const texts = sides.map((one, i) => sideOf(one as never, i, 0))
      const result = JSON.parse(merged(base as never, texts, fields)) as Model
      const all = (of: (one: Model) => string[]) => {
        const gone = of(base).filter((one) => sides.some((side) => !of(side).includes(one)))
        return [...new Set([base, ...sides].flatMap(of))].filter((one) => !gone.includes(one))
      }
      expect([...result.l].sort()).toEqual(all(({ l }) => l).sort())
      expect([...result.s].sort()).toEqual(all(({ s }) => s).sort())
      expect(result.n).toBe(sides.reduce((sum, { n }) => sum + n - base.n, base.n))
      for (const { l } of sides) {
        expect(result.l.filter((one) => l.includes(one))).toEqual(
          l.filter((one) => result.l.includes(one)),
        )
      }
    }
  })
})
