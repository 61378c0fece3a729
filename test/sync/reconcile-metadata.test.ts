/** The design's table where metadata tell contents apart; the rest is in reconcile.test.ts. */
import { describe, expect, it } from 'vitest'
import type { Observation } from '../../src/model.ts'
import { reconcile } from '../../src/sync/reconcile.ts'
import { entryOf, moment, policyOf, said, table } from './table.ts'

const first = { head: null }

describe('metadata is content, where both can carry it', () => {
  const typed = { head: 'head #t', policy: { withoutMetadata: ['F'] } }
  const plain = { policy: { withoutMetadata: ['F'] } }
  const same = { ...typed, old: 'old #t' }
  table([
    [{ A: 'changed head #u', B: 'current' }, 'changed, head #u: adopt A, put B', typed],
    [{ A: 'changed head #t', B: 'current' }, 'touched, head #t: adopt A', typed],
    [
      { A: 'changed head #u', B: 'changed head #v' },
      'update/update: head #u of A | head #v of B',
      typed,
    ],
    [{ A: 'new x #t', B: 'new x #u' }, 'create/create: x #t of A | x #u of B', first],
    // A listing that has none says nothing about it; a folder has none at all.
    [{ A: 'touched head', B: 'current' }, 'touched, head #t: adopt A', typed],
    [{ A: 'changed x', B: 'current' }, 'changed, x: adopt A, put B', typed],
    [{ F: 'changed x', B: 'current' }, 'changed, x #t: adopt F, put B', typed],
    [{ F: 'new x', B: 'new x #t' }, 'equal, x #t: adopt B, adopt F', { ...typed, head: null }],
    // What changes beside the bytes is nothing to a folder: it isn't written anew.
    [{ F: 'touched head', B: 'changed head #u' }, 'equal, head #u: adopt B, adopt F', typed],
    // The same edit twice, once with a type of its own: the head's type is still the old one.
    [{ A: 'old-changed head #u', B: 'current' }, 'changed, head #u: adopt A, put B', same],
    [{ A: 'old-changed head #u', F: 'current' }, 'equal, head #u: adopt A, adopt F', same],
    [
      { A: 'old-changed head #t', B: 'current' },
      'behind, head #u: put A',
      { ...typed, head: 'head #u', old: 'old #t' },
    ],
    [
      { A: 'old-changed head #u', B: 'current' },
      'update/update: head head #t of B | head #u of A',
      { ...typed, old: 'old #s' },
    ],
    [{ A: 'old-changed x #u', B: 'current' }, 'update/update: head head #t of B | x #u of A', same],
    // A head that came from a folder takes what the others have.
    [{ F: 'current', B: 'new head #u', C: 'never' }, 'equal, head #u: adopt B, put C', plain],
  ])

  it('a change of metadata alone under the same ETag is asked for, once', () => {
    const states = { A: 'current', B: 'current' }
    const token = { id: 'held-A', at: Date.UTC(2026, 0) }
    const shown = (text: string): ReadonlyMap<string, Observation> =>
      new Map([
        ['A', { kind: 'entry', entry: entryOf(text, { ...token, at: token.at + 60_000 }) }],
        ['B', { kind: 'entry', entry: entryOf('head', { id: 'held-B' }) }],
      ])
    const version = { run: 5, content: entryOf('head #t', token), origin: 'A', at: 500 }
    const holds = { A: { version, token }, B: { version, token: { id: 'held-B' } } }
    const row = { key: 'k', rev: 7, head: version, holds }
    const decide = (text: string) =>
      said(reconcile('k', row, shown(text), policyOf(states), moment))
    expect(decide('head!')).toBe('ask A')
    expect(decide('head #t')).toBe('touched, head #t: adopt A')
    expect(decide('head #u')).toBe('changed, head #u: adopt A, put B')
    expect(decide('head'), 'a store that keeps none').toBe('touched, head #t: adopt A')
  })
})
