/** One key: every replica against the first that can tell anything of it. */
import { StoreError } from '../errors.ts'
import type { Entry, Key, Metadata, Observation } from '../model.ts'
import { compareBytes, hasDigest, sameMetadata } from '../sync/content.ts'
import { compareKeys, keyProblem } from '../sync/keys.ts'
import type { Finding, Letter } from './findings.ts'
import { createLook, type Look, type Place, type Reading } from './look.ts'

/**
 * `deep`: all is read. `needed`: what the listings can't tell is asked, then read. `listing`:
 * nothing is asked; sizes must do where digests are missing.
 */
export type Effort = 'deep' | 'needed' | 'listing'

/** A key that keeps moving is told as an error after so many looks. */
const looksMax = 3

export async function compareKey(
  places: Place[],
  key: Key,
  seen: Observation[],
  effort: Effort,
  reading: Reading,
): Promise<Finding[]> {
  let observations = seen
  for (let looks = 1; ; looks++) {
    try {
      return await compareOnce(places, key, observations, effort, reading, looks >= looksMax)
    } catch (error) {
      // It moved since it was listed: what is there now is compared.
      if (reading.signal.aborted || !isMoved(error) || looks >= looksMax) throw error
      observations = await lookAgain(places, key, observations, reading)
    }
  }
}

function isMoved(error: unknown): boolean {
  if (!(error instanceof StoreError)) return false
  return error.code === 'changed-meanwhile' || error.code === 'not-found'
}

async function lookAgain(
  places: Place[],
  key: Key,
  before: Observation[],
  { signal }: Reading,
): Promise<Observation[]> {
  return await Promise.all(
    places.map(async ({ connector }, i): Promise<Observation> => {
      const old = before[i] as Observation
      if (old.kind === 'unknown') return old
      try {
        const entry = await connector.stat(key, { signal })
        return entry === null ? { kind: 'absent' } : { kind: 'entry', entry }
      } catch (error) {
        if (signal.aborted || !(error instanceof StoreError)) throw error
        // What was seen stays: comparing it says what is wrong.
        return old
      }
    }),
  )
}

async function compareOnce(
  places: Place[],
  key: Key,
  seen: Observation[],
  effort: Effort,
  reading: Reading,
  last: boolean,
): Promise<Finding[]> {
  const observations = withUnholdable(places, key, seen)
  const first = observations.findIndex(({ kind }) => kind !== 'unknown')
  const against = places[first]?.name ?? ''
  const entries = new Map<number, Entry>()
  observations.forEach((one, i) => {
    if (one.kind === 'entry') entries.set(i, one.entry)
  })
  const look = createLook(places, key, entries, effort === 'deep', reading)
  if (effort === 'deep' && entries.size > 1 && entries.has(first)) {
    // Side by side; a failure is told where that replica is compared.
    await Promise.allSettled([...entries.keys()].map((replica) => look.read(replica)))
  }
  const findings: Finding[] = []
  const say = (replica: number, letter: Letter, reason = '', by: Finding['by'] = 'listing') => {
    const { name } = places[replica] as Place
    findings.push({ key, letter, replica: name, against, reason, by })
  }
  for (const [i, one] of observations.entries()) {
    if (one.kind === 'unknown') {
      if (one.reason !== '') say(i, '~', one.reason)
    } else if (i === first) continue
    else if (one.kind === 'absent') {
      if (entries.has(first)) say(i, '+', `missing, ${against} has it`)
    } else if (!entries.has(first)) say(i, '-', `only here, ${against} does not have it`)
    else {
      try {
        const { same, reason, by } = await comparePair(places, look, [...entries.keys()], i, effort)
        say(i, same ? '=' : '*', reason, by)
      } catch (error) {
        const known = error instanceof StoreError && !reading.signal.aborted
        if (!known || (isMoved(error) && !last)) throw error
        say(i, '!', `${error.location}: ${error.code}: ${error.message}`, 'content')
      }
    }
  }
  return findings
}

/** Absent where the store can't hold the key is no absence. An empty reason: nothing to be told. */
function withUnholdable(places: Place[], key: Key, seen: Observation[]): Observation[] {
  const exists = seen.some(({ kind }) => kind === 'entry')
  return seen.map((one, i) => {
    if (one.kind !== 'absent') return one
    const problem = keyProblem(key, (places[i] as Place).connector.traits.keys)
    if (problem === null) return one
    return { kind: 'unknown', reason: exists ? problem : '' }
  })
}

interface Verdict {
  same: boolean
  reason: string
  by: Finding['by']
}

async function comparePair(
  places: Place[],
  look: Look,
  present: number[],
  other: number,
  effort: Effort,
): Promise<Verdict> {
  const first = present[0] as number
  if (effort === 'deep') await Promise.all([look.read(first), look.read(other)])
  let bytes = compareBytes(look.entry(first), look.entry(other))
  if (bytes === 'unknown' && effort === 'listing') return { same: true, reason: '', by: 'size' }
  for (const learn of bytes === 'unknown' ? [askBoth, readOne, readBoth] : []) {
    await learn(look, first, other)
    bytes = compareBytes(look.entry(first), look.entry(other))
    if (bytes !== 'unknown') break
  }
  const by = look.wasRead(first) || look.wasRead(other) ? 'content' : 'listing'
  if (bytes !== 'same') {
    const [a, b] = [look.entry(first).size, look.entry(other).size]
    return { same: false, reason: a === b ? 'other content' : `${b} bytes, not ${a}`, by }
  }
  const carriers = present.filter((i) => (places[i] as Place).connector.traits.carriesMetadata)
  const model = carriers[0]
  if (model === undefined || model === other || !carriers.includes(other)) {
    return { same: true, reason: '', by }
  }
  if (effort !== 'listing') await knowMetadata(look, [model, other])
  const [wanted, found] = [look.entry(model).metadata, look.entry(other).metadata]
  if (sameMetadata(wanted, found)) return { same: true, reason: '', by }
  const fields = differingFields(wanted ?? {}, found ?? {}).join(', ')
  const than = model === first ? '' : `, compared with ${(places[model] as Place).name}`
  return { same: false, reason: `other metadata: ${fields}${than}`, by }
}

/** A store may know more than its listing shows. */
async function askBoth(look: Look, first: number, other: number): Promise<void> {
  for (const replica of [other, first]) {
    if (!hasDigest(look.entry(replica).digests)) await look.stat(replica)
  }
}

/** Whose digest is missing is read. Where both show one of their own, the first: it is read once
 *  for all the others. */
async function readOne(look: Look, first: number, other: number): Promise<void> {
  const silent = [other, first].filter((one) => !hasDigest(look.entry(one).digests))
  for (const replica of silent.length > 0 ? silent : [first]) await look.read(replica)
}

async function readBoth(look: Look, first: number, other: number): Promise<void> {
  await Promise.all([look.read(first), look.read(other)])
}

async function knowMetadata(look: Look, replicas: number[]): Promise<void> {
  for (const replica of replicas) {
    if (look.entry(replica).metadata === undefined && !look.wasStatted(replica)) {
      await look.stat(replica)
    }
  }
}

/** `contentType: a, not b`. */
function differingFields(wanted: Metadata, found: Metadata): string[] {
  const [a, b] = [flat(wanted), flat(found)]
  const names = [...new Set([...a.keys(), ...b.keys()])].sort(compareKeys)
  return names
    .filter((name) => (a.get(name) ?? '') !== (b.get(name) ?? ''))
    .map((name) => `${name}: ${b.get(name) || 'none'}, not ${a.get(name) || 'none'}`)
}

function flat({ user, ...system }: Metadata): Map<string, string> {
  const users = Object.entries(user ?? {}).map(([name, value]): [string, string] => [name, value])
  return new Map([...Object.entries(system), ...users])
}
