/** What is done about a key that a person wants back, by what each replica shows. */
import { describe, expect, it } from 'vitest'
import type { BaselineRow, Content, Observation, Policy, Token, Version } from '../../src/model.ts'
import { type Restored, restore } from '../../src/sync/restore.ts'

const replicas = ['A', 'B', 'C']
const policy: Policy = {
  ...{ direction: 'two-way', replicas, source: 'A', drift: 'conflict', delete: 'propagate' },
  rules: [],
  history: true,
} as Policy
const moment = { run: 9, from: 0, to: 900 }

const contentOf = (text: string): Content => ({ size: 3, digests: { sha256: text } })
const versionOf = (run: number, text: string | null): Version => ({
  run,
  content: text === null ? null : contentOf(text),
  origin: 'A',
  at: run,
})

/** `now`: a version that is held, `-`: nothing and never, `gone`, or new content by its name. */
function see(shown: string, held: Version): Observation {
  if (shown === 'down') return { kind: 'unknown', reason: 'down' }
  if (shown === '-' || shown === 'gone') return { kind: 'absent' }
  const content = shown === 'now' ? held.content : contentOf(shown)
  const id = shown === 'now' ? 'held' : `new ${shown}`
  return {
    kind: 'entry',
    entry: { key: 'k', token: { id }, modifiedAt: 1, ...(content as Content) },
  }
}

function rowOf(head: Version, shown: string[]): BaselineRow {
  const token: Token | null = head.content ? { id: 'held' } : null
  const held = replicas.filter((_, i) => shown[i] !== '-' && !shown[i]?.endsWith('!'))
  const holds = Object.fromEntries(held.map((one) => [one, { version: head, token }]))
  return { key: 'k', rev: 4, head, holds }
}

interface Given {
  /** The head's content; null: a tombstone. Its run is 5. */
  head?: string | null
  wanted: string | null
  later?: number
  overwriteLater?: boolean
  vaulted?: boolean
  decidedOn?: number | null
  row?: null
  policy?: Partial<Policy>
}

function decide(shown: string[], given: Given): Restored {
  const head = versionOf(5, given.head === undefined ? 'two' : given.head)
  const row = given.row === null ? null : rowOf(head, shown)
  const seen = shown.map((one): Observation => see(one.replace('!', ''), head))
  const observations = new Map(replicas.map((name, i) => [name, seen[i] as Observation]))
  const on = given.decidedOn === undefined ? (row?.head.run ?? null) : given.decidedOn
  const content = given.wanted === null ? null : contentOf(given.wanted)
  const later = given.later === undefined ? {} : { later: given.later }
  return restore('k', row, observations, { ...policy, ...given.policy }, moment, {
    directive: { do: 'restore', content, from: 2, head: on, ...later },
    overwriteLater: given.overwriteLater ?? false,
    vaulted: given.vaulted,
  })
}

/** In a line: what is done where. */
function words(answer: Restored): string {
  if (answer.kind === 'left') return `left ${answer.code} ${answer.replicas.join('')}`.trim()
  if (answer.kind === 'need-digest') return `need-digest ${answer.replicas.join('')}`
  if (answer.kind !== 'item') return answer.kind
  const { actions, vaulted, sources, rescues } = answer.item
  const done = actions.map(({ do: verb, replica }) => `${verb} ${replica}`)
  if (vaulted) done.push('from vault')
  if (sources.length > 0) done.push(`from ${sources.map(({ replica }) => replica).join('')}`)
  for (const { content, sources: at, loser } of rescues) {
    const where = at.map(({ replica }) => replica).join('')
    done.push(`${loser ? 'keep always' : 'keep'} ${content.digests.sha256} of ${where}`)
  }
  return done.join(', ')
}

const all = ['now', 'now', 'now']

describe('a key that a person wants back', () => {
  it.each<[string, string[], Given, string]>([
    [
      'is put everywhere from the vault',
      all,
      { wanted: 'one', vaulted: true },
      'put A, put B, put C, from vault, keep two of ABC',
    ],
    ['asks the vault where nobody has it', all, { wanted: 'one' }, 'need-vault'],
    ['is left where nobody kept it', all, { wanted: 'one', vaulted: false }, 'left not-kept'],
    ['is nothing to do where all have it', all, { wanted: 'two' }, 'nothing'],
    [
      'is deleted where it was not there',
      all,
      { wanted: null },
      'delete A, delete B, delete C, keep two of ABC',
    ],
    [
      'comes again where it was deleted',
      ['-', '-', '-'],
      { wanted: 'one', row: null, vaulted: true },
      'put A, put B, put C, from vault',
    ],
    ['stays away where it is', ['-', '-', '-'], { wanted: null, row: null }, 'nothing'],
    [
      'is left out where a replica is unknown',
      ['now', 'down', 'now'],
      { wanted: null },
      'delete A, delete C, keep two of AC',
    ],
  ])('%s', (_, shown, given, expected) => {
    expect(words(decide(shown, given))).toBe(expected)
  })
})

describe('what came later', () => {
  it.each<[string, string[], Given, string]>([
    ['an edit', ['now', 'edit', 'now'], { wanted: 'one' }, 'left later-work B'],
    ['a delete', ['now', 'now', 'gone'], { wanted: 'one' }, 'left later-work C'],
    ['something new', ['-', 'new!', '-'], { wanted: 'one', row: null }, 'left later-work B'],
    [
      'an edit of what is to be deleted',
      ['now', 'edit', 'now'],
      { wanted: null },
      'left later-work B',
    ],
    ['a later run’s version', all, { wanted: 'one', later: 7 }, 'left later-work'],
  ])('%s that came later is left alone', (_, shown, given, expected) => {
    expect(words(decide(shown, { vaulted: true, ...given }))).toBe(expected)
  })

  it.each<[string, string[], Given, string]>([
    [
      'an edit, and kept whatever the policy says',
      ['now', 'edit', 'now'],
      { wanted: 'one', policy: { history: false } },
      'put A, put C, put B, from vault, keep always edit of B',
    ],
    [
      'a delete',
      ['now', 'now', 'gone'],
      { wanted: 'one' },
      'put A, put B, put C, from vault, keep two of AB',
    ],
    [
      'a later run’s version',
      all,
      { wanted: 'one', later: 7 },
      'put A, put B, put C, from vault, keep two of ABC',
    ],
  ])('if wished it overwrites %s', (_, shown, given, expected) => {
    const answer = decide(shown, { vaulted: true, overwriteLater: true, ...given })
    expect(words(answer)).toBe(expected)
    const item = answer.kind === 'item' ? answer.item : null
    expect(item?.overwrites?.run ?? null).toBe(given.later ?? null)
  })

  it.each<[string, string[], Given, string]>([
    [
      'an edit that is what is wanted',
      ['now', 'one', 'now'],
      { wanted: 'one' },
      'put A, adopt B, put C, from B, keep two of AC',
    ],
    [
      'a delete, where it is to go',
      ['now', 'gone', 'now'],
      { wanted: null },
      'delete A, adopt B, delete C, keep two of AC',
    ],
  ])('%s is no later work', (_, shown, given, expected) => {
    expect(words(decide(shown, given))).toBe(expected)
  })
})

describe('what is decided', () => {
  it.each<[string, Given]>([
    ['another version became the head', { wanted: 'one', decidedOn: 3 }],
    ['the key came again', { wanted: 'one', decidedOn: null }],
    ['the key was deleted and forgotten', { wanted: 'one', row: null, decidedOn: 5 }],
  ])('is left where %s since', (_, given) => {
    const shown = given.row === null ? ['-', '-', '-'] : all
    expect(words(decide(shown, { vaulted: true, ...given }))).toBe('left moved-on')
  })

  it('is a new version of this run, restored, that no replica’s absence causes', () => {
    const answer = decide(['now', 'gone', 'now'], { wanted: null })
    if (answer.kind !== 'item') throw new Error(answer.kind)
    expect(answer.item).toMatchObject({ reason: 'restored', rev: 4, goneAt: [] })
    expect(answer.item.head).toMatchObject({ run: 9, content: null })
  })

  it('of a one-way dataset is put to the source, too; drift that is kept stays', () => {
    const one = decide(all, { wanted: 'one', vaulted: true, policy: { direction: 'one-way' } })
    expect(words(one)).toContain('put A, put B, put C')
  })

  it('asks for a digest where an edit may be what is wanted', () => {
    const observations = new Map<string, Observation>(
      replicas.map((name) => [name, see('now', versionOf(5, 'two'))]),
    )
    const token = { id: 'edited' }
    const entry = { key: 'k', token, modifiedAt: 1, size: 3, digests: { md5: 'm' } }
    observations.set('B', { kind: 'entry', entry })
    const row = rowOf(versionOf(5, 'two'), all)
    const answer = restore('k', row, observations, policy, moment, {
      directive: { do: 'restore', content: contentOf('one'), from: 2, head: 5 },
      overwriteLater: false,
      vaulted: true,
    })
    expect(words(answer)).toBe('need-digest B')
  })
})
