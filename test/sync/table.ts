/**
 * One key, told in the words of the design's first table: `{ A: 'current', B: 'changed x' }`; and a
 * decision told back in one line.
 */
import { expect, it } from 'vitest'
import type {
  BaselineRow,
  Content,
  Decision,
  Entry,
  Hold,
  Metadata,
  Observation,
  PlanItem,
  Policy,
  Token,
  Version,
} from '../../src/model.ts'
import { reconcile } from '../../src/sync/reconcile.ts'

export const moment = { run: 9, from: 1_000, to: 2_000 }

/** `x`: content x. `x!`: the listing has no digest. `x #t`: its metadata is t. `x @5`: of 5 ms. */
export function entryOf(text: string, token: Token): Entry {
  const [bytes = '', ...more] = text.split(' ')
  const metadata = more.find((word) => word.startsWith('#'))?.slice(1)
  const at = more.find((word) => word.startsWith('@'))?.slice(1)
  const digests = bytes.endsWith('!') ? {} : { sha256: bytes }
  return {
    key: 'k',
    size: 3,
    digests,
    token,
    modifiedAt: Number(at ?? 1_500),
    ...(metadata === undefined ? {} : { metadata: metadataOf(metadata) }),
  }
}

function metadataOf(text: string): Metadata {
  return text === '' ? {} : { contentType: text }
}

/** Run 5 made the head, run 3 the version before. `deleted`: a tombstone. */
function versionOf(run: number, text: string): Version {
  if (text === 'deleted') return { run, content: null, origin: 'A', at: 500 }
  const { size, digests, metadata } = entryOf(text, { id: '' })
  const content: Content = { size, digests, ...(metadata ? { metadata } : {}) }
  return { run, content, origin: 'A', at: 500 }
}

export interface Given {
  /** The head's content; `deleted`; null: no baseline at all. Default: `head`. */
  head?: string | null
  /** The version before it. Default: `old`. */
  old?: string
  policy?: Partial<Policy>
}

/** By replica, one of the states of the design. */
export type States = Record<string, string>

export function rowOf(states: States, { head = 'head', old = 'old' }: Given): BaselineRow | null {
  if (head === null) return null
  const versions = { head: versionOf(5, head), old: versionOf(3, old) }
  const holds: Record<string, Hold> = {}
  for (const [name, state] of Object.entries(states)) {
    const word = state.replace(/ .*/, '')
    if (['new', 'never', 'off-never'].includes(word)) continue
    const version = word.startsWith('old') ? versions.old : versions.head
    const token = version.content === null ? null : { id: `held-${name}` }
    holds[name] = { version, token, ...(word === 'drifted' ? { drift: true } : {}) }
  }
  return { key: 'k', rev: 7, head: versions.head, holds }
}

function observationOf(
  name: string,
  state: string,
  { head = 'head', old = 'old' }: Given,
): Observation {
  const [word = '', ...rest] = state.split(' ')
  const text = rest.join(' ')
  const held = { id: `held-${name}` }
  const fresh = { id: `new-${name}` }
  if (word.startsWith('off')) return { kind: 'unknown', reason: 'offline' }
  if (['gone', 'old-gone', 'never', 'deleted', 'old-deleted'].includes(word))
    return { kind: 'absent' }
  const entry = (shown: string, token: Token): Observation => ({
    kind: 'entry',
    entry: entryOf(shown, token),
  })
  if (word === 'current') return entry(head ?? '', held)
  if (word === 'old') return entry(old, held)
  if (word === 'touched') return entry(text || (head ?? ''), fresh)
  if (word === 'old-touched') return entry(text || old, fresh)
  if (word === 'drifted') return entry(text, held)
  if (['changed', 'old-changed', 'new'].includes(word)) return entry(text, fresh)
  throw new Error(`no such state: ${state}`)
}

export function policyOf(states: States, policy: Partial<Policy> = {}): Policy {
  return {
    direction: 'two-way',
    replicas: Object.keys(states),
    source: 'A',
    drift: 'conflict',
    delete: 'propagate',
    rules: [],
    history: true,
    ...policy,
  }
}

export function decisionOf(states: States, given: Given = {}): Decision {
  const seen = Object.entries(states).map(([name, state]): [string, Observation] => [
    name,
    observationOf(name, state, given),
  ])
  const policy = policyOf(states, given.policy)
  return reconcile('k', rowOf(states, given), new Map(seen), policy, moment)
}

/** A test for each: the states of a key, and what is said of it. */
export function table(rows: [States, string, Given?][]): void {
  it.each(rows)('%o → %s', (states, expected, given) => {
    expect(said(decisionOf(states, given))).toBe(expected)
  })
}

/** As one line: what is done, what is asked, who contends. */
export function said(decision: Decision): string {
  if (decision.kind === 'need-digest') return `ask ${decision.replicas.toSorted()}`
  const words = decision.notes.map(({ kind, replica }) => `${kind} ${replica}`)
  if (decision.kind === 'item') words.unshift(saidItem(decision.item))
  const conflict = decision.kind === 'nothing' ? null : decision.conflict
  if (conflict) {
    const sides = conflict.contenders.map(({ content, replicas, deletedAt, head }) => {
      const who = [...replicas.map(({ replica }) => replica), ...deletedAt]
      return `${head ? 'head ' : ''}${saidContent(content)} of ${who.join('+') || 'nobody'}`
    })
    words.push(`${conflict.kind}: ${sides.join(' | ')}`)
  }
  return words.join('; ') || 'nothing'
}

export function saidItem({ reason, head, actions }: PlanItem): string {
  const deeds = actions.map((action) => {
    const drift = action.do === 'adopt' && action.drift ? ' as drift' : ''
    return `${action.do} ${action.replica}${drift}`
  })
  return `${reason}, ${saidContent(head.content)}: ${deeds.sort().join(', ')}`
}

export function saidContent(content: Content | null): string {
  if (content === null) return 'deleted'
  const type = content.metadata && ` #${content.metadata.contentType ?? ''}`
  return `${content.digests.sha256 ?? '?'}${type ?? ''}`
}
