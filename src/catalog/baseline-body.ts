/**
 * A baseline row's head and holds as one compact JSON array: a scan parses millions of them, and
 * parsing is most of what a row costs. By place:
 *
 *     run, at, origin, size | null (a tombstone), sha256 | 0, md5 | 0, crc32c | 0, metadata | 0,
 *     and for each hold: replica, token id | null, token at | null, flags, version | 0 (the head)
 *
 * A version is the first eight in an array of their own. 0: not known.
 */
import { EXIT, UserError } from '../errors.ts'
import type {
  BaselineRow,
  Content,
  Digests,
  Hold,
  Key,
  Metadata,
  Token,
  Version,
} from '../model.ts'

const headPlaces = 8
const holdPlaces = 5
const unsettledFlag = 1
const driftFlag = 2

export function encodeBody({ head, holds }: Pick<BaselineRow, 'head' | 'holds'>): string {
  const places = versionPlaces(head)
  const headText = JSON.stringify(places)
  for (const [replica, { version, token, drift }] of Object.entries(holds)) {
    const flags = (token?.unsettled ? unsettledFlag : 0) | (drift ? driftFlag : 0)
    const behind = isSame(version, head, headText) ? 0 : versionPlaces(version)
    places.push(replica, token?.id ?? null, token?.at ?? null, flags, behind)
  }
  return JSON.stringify(places)
}

/** By value: a hold at the head may be another object with the same content. */
function isSame(version: Version, head: Version, headText: string): boolean {
  if (version === head) return true
  return version.run === head.run && JSON.stringify(versionPlaces(version)) === headText
}

function versionPlaces({ run, at, origin, content }: Version): unknown[] {
  if (content === null) return [run, at, origin, null, 0, 0, 0, 0]
  const { sha256, md5, crc32c } = content.digests
  const metadata = content.metadata ?? 0
  return [run, at, origin, content.size, sha256 ?? 0, md5 ?? 0, crc32c ?? 0, metadata]
}

export function decodeBody(key: Key, rev: number, body: string): BaselineRow {
  const places = placesIn(body)
  if (places === null) throw damaged(key)
  const head = version(places)
  const holds: Record<string, Hold> = {}
  for (let i = headPlaces; i < places.length; i += holdPlaces) {
    holds[places[i] as string] = hold(places, i, head)
  }
  return { key, rev, head, holds }
}

/** null: it is no body. What is left out of a row would be taken for a key that nobody holds. */
function placesIn(body: string): unknown[] | null {
  let places: unknown
  try {
    places = JSON.parse(body)
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
  if (!Array.isArray(places) || !isVersion(places)) return null
  if (places.length < headPlaces || (places.length - headPlaces) % holdPlaces !== 0) return null
  for (let i = headPlaces; i < places.length; i += holdPlaces) {
    const [id, at, flags, behind] = [places[i + 1], places[i + 2], places[i + 3], places[i + 4]]
    const isHold =
      typeof places[i] === 'string' &&
      (id === null || typeof id === 'string') &&
      (at === null || typeof at === 'number') &&
      typeof flags === 'number' &&
      (behind === 0 || (Array.isArray(behind) && isVersion(behind)))
    if (!isHold) return null
  }
  return places
}

function isVersion(places: unknown[]): boolean {
  const [run, at, origin, size, sha256, md5, crc32c, metadata] = places
  return (
    typeof run === 'number' &&
    typeof at === 'number' &&
    typeof origin === 'string' &&
    (size === null || typeof size === 'number') &&
    isKnown(sha256, 'string') &&
    isKnown(md5, 'string') &&
    isKnown(crc32c, 'string') &&
    isKnown(metadata, 'object')
  )
}

const isKnown = (value: unknown, type: string) =>
  value === 0 || (typeof value === type && value !== null)

function damaged(key: Key): UserError {
  return new UserError('catalog-damaged', 'the catalog’s row of this key makes no sense', {
    where: key,
    next: 'Look at the disk, and restore the catalog from a backup.',
    exit: EXIT.failed,
  })
}

function hold(places: unknown[], i: number, head: Version): Hold {
  const id = places[i + 1] as string | null
  const at = places[i + 2] as number | null
  const flags = places[i + 3] as number
  const behind = places[i + 4] as unknown[] | 0
  let token: Token | null = null
  if (id !== null) {
    token = at === null ? { id } : { id, at }
    if (flags & unsettledFlag) token.unsettled = true
  }
  const decoded: Hold = { version: behind === 0 ? head : version(behind), token }
  if (flags & driftFlag) decoded.drift = true
  return decoded
}

function version(places: unknown[]): Version {
  return {
    run: places[0] as number,
    content: content(places),
    origin: places[2] as string,
    at: places[1] as number,
  }
}

function content(places: unknown[]): Content | null {
  const size = places[3] as number | null
  if (size === null) return null
  const digests: Digests = {}
  if (places[4] !== 0) digests.sha256 = places[4] as string
  if (places[5] !== 0) digests.md5 = places[5] as string
  if (places[6] !== 0) digests.crc32c = places[6] as string
  return places[7] === 0 ? { size, digests } : { size, digests, metadata: places[7] as Metadata }
}
