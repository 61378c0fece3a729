/** The design's table, two-way, row by row; one-way is in reconcile-one-way.test.ts. */
import { describe, expect, it } from 'vitest'
import type { Entry, Observation } from '../../src/model.ts'
import { reconcile } from '../../src/sync/reconcile.ts'
import { decisionOf, entryOf, moment, policyOf, said, table } from './table.ts'

const dead = { head: 'deleted' }
const first = { head: null }

describe('no change, none gone: behind and never are brought to the head', () => {
  table([
    [{ A: 'current', B: 'current', C: 'current' }, 'nothing'],
    [{ A: 'current', B: 'old', C: 'current' }, 'behind, head: put B'],
    [{ A: 'current', B: 'never' }, 'behind, head: put B'],
    [{ A: 'current', B: 'touched' }, 'touched, head: adopt B'],
    [{ A: 'current', B: 'old-touched' }, 'behind, head: put B'],
    [{ A: 'current', B: 'changed head' }, 'touched, head: adopt B'],
    [{ A: 'current', B: 'old-changed head' }, 'equal, head: adopt B'],
    [{ A: 'current', B: 'new head' }, 'equal, head: adopt B'],
    // Nobody who can be reached has the head: they stand still until somebody has.
    [{ A: 'off', B: 'old', C: 'never' }, 'nothing'],
  ])

  describe('under a tombstone', () => {
    table([
      [{ A: 'deleted', B: 'deleted' }, 'nothing', dead],
      [{ A: 'deleted', B: 'old' }, 'behind, deleted: delete B', dead],
      [{ A: 'deleted', B: 'old-touched' }, 'behind, deleted: delete B', dead],
      [{ A: 'deleted', B: 'never' }, 'nothing', dead],
      // It followed before it was told: that is confirmed.
      [{ A: 'deleted', B: 'old-gone' }, 'deleted, deleted: adopt B', dead],
      [{ A: 'off', B: 'old' }, 'behind, deleted: delete B', dead],
    ])
  })
})

describe('one distinct new content, made out of the head: it is the new head', () => {
  table([
    [{ A: 'changed x', B: 'current', C: 'never' }, 'changed, x: adopt A, put B, put C'],
    [{ A: 'changed x', B: 'changed x', C: 'current' }, 'changed, x: adopt A, adopt B, put C'],
    [{ A: 'changed x', B: 'old' }, 'changed, x: adopt A, put B'],
    // The same edit where an older version was, or nothing: one of them held the head.
    [{ A: 'changed x', B: 'old-changed x' }, 'equal, x: adopt A, adopt B'],
    [{ A: 'changed x', B: 'new x' }, 'equal, x: adopt A, adopt B'],
    // Edited back to what B still has.
    [{ A: 'changed old', B: 'old', C: 'current' }, 'changed, old: adopt A, adopt B, put C'],
    [{ A: 'changed x', B: 'off', C: 'current' }, 'changed, x: adopt A, put C'],
  ])

  describe('or nobody held any', () => {
    table([
      [{ A: 'new x', B: 'never', C: 'never' }, 'new, x: adopt A, put B, put C', first],
      [{ A: 'new x', B: 'new x', C: 'never' }, 'new, x: adopt A, adopt B, put C', first],
      [{ A: 'new x', B: 'off-never' }, 'new, x: adopt A', first],
      [{ A: 'never', B: 'never' }, 'nothing', first],
      [{ A: 'changed x', B: 'deleted' }, 'new, x: adopt A, put B', dead],
      [{ A: 'changed x', B: 'old' }, 'new, x: adopt A, put B', dead],
      [{ A: 'new x', B: 'deleted' }, 'new, x: adopt A, put B', dead],
      // Made anew out of nothing here, and out of an older version there: the same.
      [{ A: 'changed x', B: 'old-changed x' }, 'equal, x: adopt A, adopt B', dead],
      [{ A: 'changed x', B: 'old-gone' }, 'new, x: adopt A, put B', dead],
    ])
  })
})

describe('several new contents, or one that was not made out of the head: a conflict', () => {
  table([
    [{ A: 'changed x', B: 'changed y', C: 'current' }, 'update/update: x of A | y of B'],
    [{ A: 'changed y', B: 'changed x', C: 'changed x' }, 'update/update: x of B+C | y of A'],
    [{ A: 'current', B: 'old-changed x' }, 'update/update: head head of A | x of B'],
    [{ A: 'off', B: 'old-changed x' }, 'update/update: head head of nobody | x of B'],
    [{ A: 'current', B: 'new x' }, 'update/update: head head of A | x of B'],
    [{ A: 'changed x', B: 'old-changed y' }, 'update/update: x of A | y of B'],
    [{ A: 'new x', B: 'new y' }, 'create/create: x of A | y of B', first],
    [{ A: 'changed x', B: 'changed y' }, 'create/create: x of A | y of B', dead],
    // Who deleted an older version only followed the tombstone: no side.
    [{ A: 'changed x', B: 'changed y', C: 'old-gone' }, 'create/create: x of A | y of B', dead],
  ])
})

describe('gone from a replica that held the head: a tombstone, and deletes', () => {
  table([
    [{ A: 'gone', B: 'current', C: 'current' }, 'deleted, deleted: adopt A, delete B, delete C'],
    [{ A: 'gone', B: 'old' }, 'deleted, deleted: adopt A, delete B'],
    [{ A: 'gone', B: 'gone' }, 'deleted, deleted: adopt A, adopt B'],
    [{ A: 'gone', B: 'never' }, 'deleted, deleted: adopt A'],
    [{ A: 'gone', B: 'touched' }, 'deleted, deleted: adopt A, delete B'],
    [{ A: 'gone', B: 'old-gone', C: 'current' }, 'deleted, deleted: adopt A, adopt B, delete C'],
    // It has caught up by itself, or by a put of ours whose reply was lost: no change.
    [{ A: 'gone', B: 'old-changed head' }, 'deleted, deleted: adopt A, delete B'],
    [{ A: 'gone', B: 'new head' }, 'deleted, deleted: adopt A, delete B'],
    [{ A: 'gone', B: 'off' }, 'deleted, deleted: adopt A'],
  ])
})

describe('gone, and changed elsewhere: a conflict', () => {
  table([
    [{ A: 'gone', B: 'changed x' }, 'update/delete: x of B | deleted of A'],
    [{ A: 'gone', B: 'old-changed x' }, 'update/delete: x of B | deleted of A'],
    [{ A: 'gone', B: 'new x' }, 'update/delete: x of B | deleted of A'],
    [{ A: 'current', B: 'old-gone' }, 'update/delete: head head of A | deleted of B'],
    [{ A: 'changed x', B: 'old-gone' }, 'update/delete: x of A | deleted of B'],
    [
      { A: 'gone', B: 'changed x', C: 'changed y' },
      'update/update: x of B | y of C | deleted of A',
    ],
    [{ A: 'deleted', B: 'old-changed x' }, 'update/delete: head deleted of A | x of B', dead],
    [{ A: 'off', B: 'old-changed x' }, 'update/delete: head deleted of nobody | x of B', dead],
  ])
})

describe('absence in doubt is no absence (I3)', () => {
  table([
    [{ A: 'off', B: 'current', C: 'current' }, 'nothing'],
    [{ A: 'off', B: 'off', C: 'off' }, 'nothing'],
    [{ A: 'off-never', B: 'current' }, 'nothing'],
  ])

  it('a replica that was not looked at gets nothing done, and holds nobody up', () => {
    const states = { A: 'changed x', B: 'current', C: 'current' }
    const decision = reconcile('k', null, new Map(), policyOf(states), moment)
    expect(decision).toEqual({ kind: 'nothing', notes: [] })
  })
})

describe('a replica that is added later', () => {
  table([
    [{ A: 'current', B: 'current', C: 'never' }, 'behind, head: put C'],
    [{ A: 'current', B: 'current', C: 'new head' }, 'equal, head: adopt C'],
    [{ A: 'current', B: 'current', C: 'new x' }, 'update/update: head head of A+B | x of C'],
    [{ A: 'deleted', B: 'deleted', C: 'new x' }, 'new, x: adopt C, put A, put B', dead],
  ])

  it('brings the key back to the others where only the removed one had the last version', () => {
    // Z held the head, and is no longer in the dataset.
    const states = { B: 'old', C: 'never' }
    expect(said(decisionOf(states))).toBe('new, old: adopt B, put C')
    expect(said(decisionOf({ B: 'old', C: 'old-gone' }))).toBe('new, old: adopt B, put C')
  })
})

describe('need-digest: who is asked', () => {
  table([
    // A single new content needs no name.
    [{ A: 'new x!', B: 'never' }, 'new, ?: adopt A, put B', first],
    [{ A: 'new x!', B: 'new y' }, 'ask A', first],
    [{ A: 'new x!', B: 'new y!' }, 'ask A,B', first],
    [{ A: 'touched head!', B: 'current' }, 'ask A'],
    [{ A: 'current', B: 'new head!' }, 'ask B'],
    // An agreed content of which nothing is known: who holds it is asked too.
    [{ A: 'current', B: 'new x!' }, 'ask A,B', { head: 'head!' }],
    [{ A: 'current', B: 'new x' }, 'ask A', { head: 'head!' }],
    // Nobody can tell, until A is back: it may be our own copy.
    [{ A: 'off', B: 'new x' }, 'nothing', { head: 'head!' }],
    [{ A: 'off', B: 'new x', C: 'changed y' }, 'nothing', { head: 'head!' }],
    // It can't be proven to be the same, whatever is read now: it is new, without a question.
    [{ A: 'touched x!', B: 'never' }, 'changed, ?: adopt A, put B', { head: 'head!' }],
  ])

  it('other sizes, and empty contents, are compared without a question', () => {
    const entry = (size: number, id: string): Observation => ({
      kind: 'entry',
      entry: { ...entryOf('x!', { id }), size },
    })
    const decide = (a: number, b: number) =>
      reconcile(
        'k',
        null,
        new Map([
          ['A', entry(a, 'a')],
          ['B', entry(b, 'b')],
        ]),
        policyOf({ A: '', B: '' }),
        moment,
      )
    expect(said(decide(0, 0))).toBe('equal, ?: adopt A, adopt B')
    // Different for sure; a conflict needs both names.
    expect(said(decide(4, 3))).toBe('ask A,B')
  })

  it('md5 here and crc32c there: who shows less is read; a third who shows both saves it', () => {
    const observations = (digests: [string, object][]) =>
      new Map(
        digests.map(([name, shown]): [string, Observation] => [
          name,
          { kind: 'entry', entry: { ...entryOf('x!', { id: name }), digests: shown } },
        ]),
      )
    const two: [string, object][] = [
      ['A', { md5: 'm' }],
      ['B', { crc32c: 'c' }],
    ]
    const policy = policyOf({ A: '', B: '' })
    expect(said(reconcile('k', null, observations(two), policy, moment))).toBe('ask B')
    const three = observations([...two, ['C', { md5: 'm', crc32c: 'c' }]])
    const all = policyOf({ A: '', B: '', C: '' })
    expect(said(reconcile('k', null, three, all, moment))).toBe(
      'equal, ?: adopt A, adopt B, adopt C',
    )
  })
})

it('what was learned of one names all that have the same bytes (I11)', () => {
  // Equal by crc32c, told apart by metadata; one of them was read beside a third.
  const seen = ([name, text, digests]: [string, string, object]): [string, Observation] => [
    name,
    { kind: 'entry', entry: { ...entryOf(text, { id: name }), digests } },
  ]
  const observations = new Map(
    (
      [
        ['A', 'x #t', { sha256: 's', crc32c: 'c' }],
        ['B', 'x #u', { crc32c: 'c' }],
        ['C', 'y', { sha256: 'z' }],
      ] as [string, string, object][]
    ).map(seen),
  )
  const policy = policyOf({ A: '', B: '', C: '' })
  const decision = reconcile('k', null, observations, policy, moment)
  const contenders = decision.kind === 'conflict' ? decision.conflict.contenders : []
  expect(contenders.map(({ content }) => content?.digests.sha256)).toEqual(['s', 's', 'z'])
})

describe('what an item says', () => {
  it('expects what was seen, reads where the content is, keeps what goes (I1, I2)', () => {
    const decision = decisionOf({ A: 'current', B: 'changed x', C: 'old', D: 'never' })
    expect(decision).toMatchObject({
      kind: 'item',
      item: {
        key: 'k',
        rev: 7,
        head: { run: 9, origin: 'B', at: 1_500 },
        actions: [
          { do: 'put', replica: 'A', expect: { id: 'held-A' } },
          { do: 'adopt', replica: 'B', token: { id: 'new-B' } },
          { do: 'put', replica: 'C', expect: { id: 'held-C' } },
          { do: 'put', replica: 'D', expect: null },
        ],
        sources: [{ replica: 'B', token: { id: 'new-B' } }],
        rescues: [
          { content: { digests: { sha256: 'head' } }, sources: [{ replica: 'A' }], loser: false },
          { content: { digests: { sha256: 'old' } }, sources: [{ replica: 'C' }], loser: false },
        ],
        goneAt: [],
      },
    })
  })

  it('keeps one content once, wherever it can still be read', () => {
    const decision = decisionOf({ A: 'gone', B: 'current', C: 'current' })
    expect(decision).toMatchObject({
      item: {
        rescues: [{ sources: [{ replica: 'B' }, { replica: 'C' }] }],
        goneAt: ['A'],
      },
    })
  })

  it('keeps nothing that was agreed without history', () => {
    const decision = decisionOf({ A: 'gone', B: 'current' }, { policy: { history: false } })
    expect(decision).toMatchObject({ item: { rescues: [] } })
  })

  it('keeps what lost a conflict, which the run that decided it may not have kept', () => {
    const [won, lost] = [entryOf('won', { id: 'a1' }), entryOf('lost', { id: 'b1' })]
    const versionOf = (run: number, content: Entry) => ({ run, content, origin: 'A', at: 500 })
    const head = versionOf(5, won)
    const [a, b] = [
      { version: head, token: won.token },
      { version: versionOf(4.5, lost), token: lost.token },
    ]
    const holds = { A: a, B: b }
    const seen = new Map<string, Observation>([
      ['A', { kind: 'entry', entry: won }],
      ['B', { kind: 'entry', entry: lost }],
    ])
    const policy = policyOf({ A: 'current', B: 'old' }, { history: false })
    expect(reconcile('k', { key: 'k', rev: 1, head, holds }, seen, policy, moment)).toMatchObject({
      item: { actions: [{ do: 'put', replica: 'B' }], rescues: [{ loser: true }] },
    })
    // Nor where it only looks on while others contend.
    const more = new Map(seen).set('A', { kind: 'entry', entry: entryOf('x', { id: 'a2' }) })
    const three = { key: 'k', rev: 1, head, holds: { ...holds, C: { ...a, token: { id: 'c1' } } } }
    more.set('C', { kind: 'entry', entry: entryOf('y', { id: 'c2' }) })
    const others = { ...policy, replicas: ['A', 'B', 'C'] }
    expect(reconcile('k', three, more, others, moment)).toMatchObject({
      conflict: { bystanders: [{ replica: 'B', lost: true }] },
    })
  })

  it("reads from the dataset's source first", () => {
    const policy = { source: 'B' }
    const decision = decisionOf({ A: 'current', B: 'current', C: 'never' }, { policy })
    expect(decision).toMatchObject({ item: { sources: [{ replica: 'B' }, { replica: 'A' }] } })
  })

  it("a new version's time is its store's, within the last scan and this one", () => {
    const at = (text: string) => {
      const decision = decisionOf({ A: `changed x ${text}`, B: 'current' })
      return decision.kind === 'item' ? decision.item.head.at : null
    }
    expect(at('@1700')).toBe(1_700)
    expect(at('@3')).toBe(1_000)
    expect(at('@99999')).toBe(2_000)
  })

  it('a key gets one version a run: what changed again since is the next run is for', () => {
    const states = { A: 'changed x', B: 'current' }
    const seen = new Map<string, Observation>([
      ['A', { kind: 'entry', entry: entryOf('x', { id: 'new-A' }) }],
      ['B', { kind: 'entry', entry: entryOf('head', { id: 'held-B' }) }],
    ])
    const version = { run: moment.run, content: entryOf('head', { id: '' }), origin: 'A', at: 500 }
    const holds = {
      A: { version, token: { id: 'held-A' } },
      B: { version, token: { id: 'held-B' } },
    }
    const row = { key: 'k', rev: 7, head: version, holds }
    expect(said(reconcile('k', row, seen, policyOf(states), moment))).toBe('nothing')
  })
})

describe('what a person would have seen, had the first version stayed', () => {
  it('a new file of a folder was never copied, because its listing shows no digest', () => {
    expect(said(decisionOf({ A: 'new x!', B: 'never' }, first))).toBe('new, ?: adopt A, put B')
  })

  it('a key deleted at A came back, where a put to B had worked but its reply was lost', () => {
    const decision = decisionOf({ A: 'gone', B: 'old-changed head' })
    expect(said(decision)).toBe('deleted, deleted: adopt A, delete B')
  })

  it('an open conflict had one side: made anew here, the same there out of an old one', () => {
    const decision = decisionOf({ A: 'changed x', B: 'old-changed x' }, dead)
    expect(said(decision)).toBe('equal, x: adopt A, adopt B')
  })

  it('an edit made offline weeks ago beat yesterday’s, as if made since the last scan', () => {
    const decision = decisionOf({ A: 'current', B: 'old-changed x @3' })
    expect(decision).toMatchObject({ conflict: { contenders: [{ at: 500 }, { at: 3 }] } })
  })

  it('a key that only a removed replica had up to date was never filled again', () => {
    expect(said(decisionOf({ B: 'old', C: 'never' }))).toBe('new, old: adopt B, put C')
  })

  it('drift that was kept while one-way stayed for ever, after the change to two-way', () => {
    const decision = decisionOf({ A: 'current', B: 'drifted x' })
    expect(said(decision)).toBe('update/update: head head of A | x of B')
  })
})
