/** The design's table, one-way: A is the source. */
import { describe, expect, it } from 'vitest'
import type { Observation, Policy } from '../../src/model.ts'
import { reconcile } from '../../src/sync/reconcile.ts'
import {
  decisionOf,
  entryOf,
  type Given,
  moment,
  policyOf,
  type States,
  said,
  table as twoWay,
} from './table.ts'

const oneWay = { direction: 'one-way' } as const

function table(rows: [States, string, Given?][], policy: Partial<Policy> = {}): void {
  twoWay(
    rows.map(([states, expected, given]) => {
      return [states, expected, { ...given, policy: { ...oneWay, ...policy, ...given?.policy } }]
    }),
  )
}

const dead = { head: 'deleted' }
const first = { head: null }

describe('no change: the destinations are brought to the head', () => {
  table([
    [{ A: 'current', B: 'current' }, 'nothing'],
    [{ A: 'current', B: 'old', C: 'never' }, 'behind, head: put B, put C'],
    [{ A: 'touched', B: 'touched' }, 'touched, head: adopt A, adopt B'],
    [{ A: 'deleted', B: 'old' }, 'behind, deleted: delete B', dead],
    [{ A: 'deleted', B: 'old-gone' }, 'deleted, deleted: adopt B', dead],
    // From another destination, while the source can't be reached.
    [{ A: 'off', B: 'current', C: 'old' }, 'behind, head: put C'],
    [{ A: 'off', B: 'old' }, 'nothing'],
    [{ A: 'off-never', B: 'new x' }, 'nothing', first],
  ])
})

describe('the source changed: it is the new head', () => {
  table([
    [{ A: 'changed x', B: 'current', C: 'old' }, 'changed, x: adopt A, put B, put C'],
    [{ A: 'new x', B: 'never' }, 'new, x: adopt A, put B', first],
    [{ A: 'new x!', B: 'never' }, 'new, ?: adopt A, put B', first],
    [{ A: 'new x', B: 'new x' }, 'equal, x: adopt A, adopt B', first],
    [{ A: 'changed x', B: 'old' }, 'new, x: adopt A, put B', dead],
    [{ A: 'old-changed head', B: 'current' }, 'equal, head: adopt A'],
    [{ A: 'new x', B: 'current' }, 'changed, x: adopt A, put B'],
    // It stands still behind a head that came from elsewhere while two-way, and decides.
    [{ A: 'old', B: 'current' }, 'changed, old: adopt A, put B'],
    // They had it put, though the reply was lost: no drift.
    [{ A: 'changed x', B: 'new head' }, 'changed, x: adopt A, put B'],
    [{ A: 'changed x', B: 'old-changed head' }, 'changed, x: adopt A, put B'],
  ])
})

describe('the source is gone: a tombstone, unless deletes are never carried on', () => {
  table([
    [{ A: 'gone', B: 'current', C: 'old' }, 'deleted, deleted: adopt A, delete B, delete C'],
    [{ A: 'gone', B: 'gone' }, 'deleted, deleted: adopt A, adopt B'],
    [{ A: 'gone', B: 'current', C: 'new x' }, 'deleted, deleted: adopt A, delete B; extra C'],
    [{ A: 'gone', B: 'current', C: 'new head' }, 'deleted, deleted: adopt A, delete B, delete C'],
    [{ A: 'off', B: 'gone', C: 'current' }, 'behind, head: put B'],
  ])

  describe('delete: never', () => {
    table(
      [
        [{ A: 'gone', B: 'current' }, 'delete-ignored A'],
        // Nothing is done there, so nobody is read for it.
        [{ A: 'gone', B: 'touched head!' }, 'delete-ignored A'],
        [{ A: 'changed x', B: 'current' }, 'changed, x: adopt A, put B'],
        [{ A: 'touched', B: 'current' }, 'touched, head: adopt A'],
      ],
      { delete: 'never' },
    )
  })
})

describe('below a folder each destination has metadata of its own', () => {
  const given = { head: 'head #t', policy: { withoutMetadata: ['A'] } }
  const first = { ...given, head: null }
  table([
    [{ A: 'current', B: 'touched head #u' }, 'touched, head: adopt B', given],
    [{ A: 'changed x', B: 'current' }, 'changed, x: adopt A, put B', given],
    [{ A: 'new x', B: 'new x #u', C: 'new x #v' }, 'equal, x: adopt A, adopt B, adopt C', first],
    [{ A: 'current', B: 'changed x #u' }, 'drift: head head of A | x of B', given],
  ])

  it('so that a rewrite under the same ETag is not read', () => {
    const at = Date.UTC(2026, 0)
    const entry = (text: string, id: string, later = 0): Observation => ({
      kind: 'entry',
      entry: entryOf(text, { id, at: at + later }),
    })
    const version = { run: 5, content: entryOf('head #t', { id: '' }), origin: 'A', at: 500 }
    const holds = { A: { version, token: { id: 'a', at } }, B: { version, token: { id: 'b', at } } }
    const row = { key: 'k', rev: 7, head: version, holds }
    const seen = new Map([
      ['A', entry('head!', 'a')],
      ['B', entry('head!', 'b', 60_000)],
    ])
    const policy = policyOf({ A: '', B: '' }, { ...oneWay, withoutMetadata: ['A'] })
    expect(said(reconcile('k', row, seen, policy, moment))).toBe('touched, head: adopt B')
  })
})

describe('a destination lost it: put again', () => {
  table([
    [{ A: 'current', B: 'gone' }, 'behind, head: put B'],
    [{ A: 'current', B: 'old-gone' }, 'behind, head: put B'],
    [{ A: 'changed x', B: 'gone' }, 'changed, x: adopt A, put B'],
  ])
})

describe('only a destination has it: kept, reported, never deleted', () => {
  table([
    [{ A: 'never', B: 'new x' }, 'extra B', first],
    [{ A: 'never', B: 'new x', C: 'new y' }, 'extra B; extra C', first],
    [{ A: 'deleted', B: 'new x' }, 'extra B', dead],
    // A source that is new to the dataset, and empty, causes no deletes.
    [{ A: 'never', B: 'current', C: 'old' }, 'extra B; extra C'],
    [{ A: 'old-deleted', B: 'current' }, 'extra B', { old: 'deleted' }],
  ])
})

describe('a destination changed it: drift', () => {
  describe('conflict: its key stays untouched, the others go on', () => {
    table([
      [{ A: 'current', B: 'changed x' }, 'drift: head head of A | x of B'],
      [
        { A: 'current', B: 'changed x', C: 'old' },
        'behind, head: put C; drift: head head of A | x of B',
      ],
      [{ A: 'changed y', B: 'changed x' }, 'changed, y: adopt A; drift: head y of A | x of B'],
      [{ A: 'new y', B: 'new x' }, 'new, y: adopt A; drift: head y of A | x of B', first],
      [
        { A: 'gone', B: 'changed x' },
        'deleted, deleted: adopt A; drift: head deleted of A | x of B',
      ],
      [{ A: 'current', B: 'changed x', C: 'changed x' }, 'drift: head head of A | x of B+C'],
      [{ A: 'current', B: 'drifted x' }, 'drift: head head of A | x of B'],
      [{ A: 'off', B: 'changed x' }, 'drift: head head of nobody | x of B'],
      // Nothing of the source's content is known, though it is agreed: it is asked once.
      [{ A: 'current', B: 'changed x' }, 'ask A', { head: 'head!' }],
      [{ A: 'off', B: 'new x' }, 'nothing', { head: 'head!' }],
    ])
  })

  describe('overwrite: brought back, its content in the vault first', () => {
    table(
      [
        [{ A: 'current', B: 'changed x' }, 'behind, head: put B'],
        [{ A: 'changed y', B: 'changed x', C: 'current' }, 'changed, y: adopt A, put B, put C'],
        [{ A: 'gone', B: 'changed x' }, 'deleted, deleted: adopt A, delete B'],
        [{ A: 'gone', B: 'changed x', C: 'new z' }, 'deleted, deleted: adopt A, delete B; extra C'],
        [{ A: 'current', B: 'drifted x' }, 'behind, head: put B'],
        [{ A: 'off', B: 'changed x' }, 'nothing'],
        [{ A: 'off', B: 'changed x', C: 'current' }, 'behind, head: put B'],
      ],
      { drift: 'overwrite' },
    )

    it('also without history: nobody had agreed to lose it', () => {
      const policy = { ...oneWay, drift: 'overwrite', history: false } as const
      const decision = decisionOf({ A: 'current', B: 'changed x', C: 'old' }, { policy })
      expect(decision).toMatchObject({
        item: {
          rescues: [
            { content: { digests: { sha256: 'x' } }, sources: [{ replica: 'B' }], loser: true },
          ],
        },
      })
    })
  })

  describe('keep: noted and reported, again when it changes or the source does', () => {
    table(
      [
        [{ A: 'current', B: 'changed x' }, 'drift, head: adopt B as drift; drift-kept B'],
        [{ A: 'current', B: 'drifted x' }, 'nothing'],
        [
          { A: 'changed y', B: 'drifted x', C: 'current' },
          'changed, y: adopt A, adopt B as drift, put C; drift-kept B',
        ],
        [
          { A: 'gone', B: 'drifted x' },
          'deleted, deleted: adopt A, adopt B as drift; drift-kept B',
        ],
        [{ A: 'current', B: 'gone' }, 'behind, head: put B'],
      ],
      { drift: 'keep' },
    )
  })
})

describe('what a person would have seen, had the first version stayed', () => {
  it('a dataset switched to one-way wrote its source, where that had deleted the key', () => {
    const states = { A: 'old-deleted', B: 'current' }
    const decision = decisionOf(states, { old: 'deleted', policy: oneWay })
    expect(said(decision)).toBe('extra B')
  })

  it('a scan never ended: the source was asked for a digest again and again', () => {
    const given = { head: 'head!', policy: oneWay }
    expect(said(decisionOf({ A: 'off', B: 'changed x' }, given))).not.toMatch(/ask/)
    // Asked, it shows a digest from then on, and so has the head.
    const asked = decisionOf({ A: 'touched head', B: 'changed x' }, given)
    expect(said(asked)).not.toMatch(/ask/)
  })

  it('a destination whose drift the source had taken over stayed apart for ever', () => {
    const policy = { ...oneWay, drift: 'keep' } as const
    const decision = decisionOf({ A: 'changed x', B: 'drifted x' }, { policy })
    expect(said(decision)).toBe('equal, x: adopt A, adopt B')
  })

  it('a source whose hold was drift, from when it was a destination, was never read again', () => {
    const decision = decisionOf({ A: 'drifted x', B: 'current' }, { policy: oneWay })
    expect(said(decision)).toBe('changed, x: adopt A, put B')
  })

  it('drift that was overwritten with history off was kept nowhere', () => {
    const policy = { ...oneWay, drift: 'overwrite', history: false } as const
    const decision = decisionOf({ A: 'current', B: 'changed x' }, { policy })
    expect(decision).toMatchObject({ item: { rescues: [{ loser: true }] } })
  })

  it('drift was not overwritten while the source was away, though another had the content', () => {
    const policy = { ...oneWay, drift: 'overwrite' } as const
    const decision = decisionOf({ A: 'off', B: 'changed x', C: 'current' }, { policy })
    expect(said(decision)).toBe('behind, head: put B')
  })
})
