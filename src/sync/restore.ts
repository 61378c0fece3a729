/**
 * What to do about one key that a person wants back: `(baseline row, observations, policy, wish) →
 * nothing | item | left as it is`, or what must be learned first. Pure and total, as reconcile is.
 *
 *   the head moved since it was looked at   → left: moved-on
 *   work that isn't in history yet          → left: later-work; or overwritten, and kept first
 *   nobody holds it, nor does the vault     → left: not-kept
 *   all replicas have it                    → nothing
 *   else                                    → a new version, put (or deleted) wherever it isn't
 */
import type {
  BaselineRow,
  Content,
  Directive,
  Key,
  Moment,
  Observation,
  PlanItem,
  Policy,
  SkipCode,
  Version,
} from '../model.ts'
import { compareBytes, compareContent } from './content.ts'
import type { SeenEntry } from './contents.ts'
import { buildItem, knownContent, shows } from './item.ts'
import type { Seen } from './observe.ts'
import {
  asChanged,
  metadataIsTheirs,
  type Situation,
  situationOf,
  withoutIts,
} from './reconcile.ts'

export interface Wish {
  directive: Extract<Directive, { do: 'restore' }>
  overwriteLater: boolean
  /** Whether the vault has the content; undefined: it wasn't asked yet. */
  vaulted: boolean | undefined
}

export type Restored =
  | { kind: 'nothing' }
  | { kind: 'need-digest'; replicas: string[] }
  | { kind: 'need-vault' }
  | { kind: 'item'; item: PlanItem }
  | { kind: 'left'; code: SkipCode; reason: string; replicas: string[] }

export function restore(
  key: Key,
  row: BaselineRow | null,
  observations: ReadonlyMap<string, Observation>,
  policy: Policy,
  moment: Moment,
  { directive, overwriteLater, vaulted }: Wish,
): Restored {
  const stays = staysBecause(row, directive, moment, overwriteLater)
  if (stays) return { kind: 'left', ...stays, replicas: [] }
  const { situation: found, asked } = situationOf(key, row, observations, policy, moment)
  // Drift that the policy keeps is work of its own; where there is none to keep, a side like any.
  const spares = policy.direction === 'one-way' && !overwriteLater
  const situation = spares ? found : { ...found, seen: found.seen.map(asChanged) }
  const head = wantedHead(situation, directive.content)
  const unsure = situation.seen.filter((one) => isUnsure(one, head, policy))
  const toLearn = [...new Set([...asked, ...unsure.map(({ replica }) => replica)])]
  if (toLearn.length > 0) return { kind: 'need-digest', replicas: toLearn }
  const later = situation.seen.filter((one) => isLater(one, head, situation))
  if (later.length > 0 && !overwriteLater) return leftFor(later)
  const held = head.content === null || situation.seen.some((one) => shows(one, head, situation))
  if (!held && vaulted === undefined) return { kind: 'need-vault' }
  if (!held && !vaulted) {
    const reason = 'no replica has this content any more, nor has the vault'
    return { kind: 'left', code: 'not-kept', reason, replicas: [] }
  }
  const item = itemOf(situation, head, later, !held)
  if (item === null) return { kind: 'nothing' }
  const replicas = later.map(({ replica }) => replica)
  const run = directive.later ?? null
  const overwrites = replicas.length > 0 || run !== null ? { overwrites: { run, replicas } } : {}
  return { kind: 'item', item: { ...item, ...overwrites } }
}

function staysBecause(
  row: BaselineRow | null,
  { head, later }: Wish['directive'],
  { run }: Moment,
  overwriteLater: boolean,
): { code: SkipCode; reason: string } | null {
  const now = row?.head.run ?? null
  if (now !== head || (now !== null && now >= run)) {
    const reason = now === null ? 'it was deleted since' : `run ${now} changed it since`
    return { code: 'moved-on', reason }
  }
  if (later === undefined || overwriteLater) return null
  return { code: 'later-work', reason: `run ${later} changed it since` }
}

/** The head as it is, where that is what is wanted; else a new version, of nobody's making yet. */
function wantedHead({ row, policy, moment }: Situation, wanted: Content | null): Version {
  const content = wanted && metadataIsTheirs(policy) ? withoutIts(wanted) : wanted
  if (row !== null && equals(row.head.content, content)) return row.head
  return { run: moment.run, content, origin: '', at: moment.to }
}

function equals(a: Content | null, b: Content | null): boolean {
  if (a === null || b === null) return a === b
  return compareContent(a, b) === 'same'
}

/** It may be what is wanted already: then nothing of it would be overwritten. */
function isUnsure(one: Seen, { content }: Version, policy: Policy): boolean {
  if (!isFresh(one) || content === null || one.entry?.digests.sha256 !== undefined) return false
  const silent = policy.withoutMetadata?.includes(one.replica)
  const compare = silent ? compareBytes : compareContent
  return compare(content, knownContent(one)) === 'unknown'
}

function isFresh(one: Seen): one is SeenEntry {
  return one.state === 'changed' || one.state === 'new'
}

/** Work that isn't in history yet, and isn't what is wanted. */
function isLater(one: Seen, head: Version, situation: Situation): boolean {
  if (one.state === 'gone') return head.content !== null
  return isFresh(one) && !shows(one, head, situation)
}

function leftFor(later: Seen[]): Restored {
  const reason = 'it was changed there since, which is not synced yet'
  const replicas = later.map(({ replica }) => replica)
  return { kind: 'left', code: 'later-work', reason, replicas }
}

function itemOf(
  situation: Situation,
  head: Version,
  later: Seen[],
  vaulted: boolean,
): PlanItem | null {
  const targets = situation.seen.filter((one) => !later.includes(one) || one.entry === null)
  const overwritten = later.filter((one): one is SeenEntry => one.entry !== null)
  const item = buildItem(situation, head, 'restored', targets, { overwritten, vaulted })
  // It is as agreed everywhere: tokens that are to be refreshed are the next scan's.
  const settled = item?.actions.every(({ do: verb }) => verb === 'adopt')
  if (item === null || (settled && head.run === situation.row?.head.run)) return null
  const origin = item.head.origin || (item.sources[0]?.replica ?? (vaulted ? 'vault' : ''))
  // A person wants it gone: no replica's absence causes that.
  return { ...item, reason: 'restored', head: { ...item.head, origin }, goneAt: [] }
}
