/** What is asked of every listing's reader: an error, or the truth, or what the answer now says. */
import fc from 'fast-check'
import { expect } from 'vitest'
import type { Connector, Page } from '../../connectors/connector.ts'
import { checked } from '../../connectors/wrap.ts'
import { StoreError } from '../../src/errors.ts'
import type { Entry, Key } from '../../src/model.ts'
import { compareKeys } from '../../src/sync/keys.ts'
import { whole } from '../conformance/world.ts'

export const prefix = 'p/'

export interface Listed {
  key: Key
  id: string
  size: number
  modifiedAt: number
}

const character = fc.constantFrom(
  ...['a', 'b', 'z', '0', '-', '.', '/', ' ', '+', '%', '&', '<', '>', '"', "'", '\\', '[', '{'],
  ...['\u00e9', 'e\u0301', '\u{1f600}', '\uff01', '\ufffd', '\u0130'],
)
const key = fc
  .oneof(
    { weight: 9, arbitrary: fc.string({ unit: character, minLength: 1, maxLength: 8 }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('__proto__', 'constructor', 'Key', '</Key>', '&amp;', '..', '%FF'),
    },
  )
  .filter((one) => !one.endsWith('/'))

/** Sorted, as a true answer is. */
export const truths: fc.Arbitrary<Listed[]> = fc
  .uniqueArray(
    fc.record({
      key,
      id: fc.constantFrom(
        '9dd4e461268c8034f5c8564e155c67a6',
        'd41d8cd98f00b204e9800998ecf8427e-2',
        '0x8DC',
      ),
      size: fc.oneof(fc.nat(9), fc.maxSafeNat()),
      modifiedAt: fc.constantFrom(1_714_979_289_000, 1_000),
    }),
    { selector: (one) => one.key, maxLength: 6 },
  )
  .map((all) => all.sort((a, b) => compareKeys(a.key, b.key)))

/** What came of reading: entries and the keys that were skipped, or null: a StoreError. */
export async function readAs(
  list: Connector['list'],
): Promise<{ entries: Entry[]; skipped: Page['skipped'] } | null> {
  const { list: safe } = checked({ name: 'fuzzed', list } as Connector)
  const found = { entries: [] as Entry[], skipped: [] as Page['skipped'] }
  try {
    for await (const page of safe(whole, undefined, { signal: new AbortController().signal })) {
      found.entries.push(...page.entries)
      found.skipped.push(...page.skipped)
    }
    return found
  } catch (error) {
    // A plain Error, a RangeError, a TypeError would be a crash.
    if (!(error instanceof StoreError)) throw error
    expect(error.message).not.toBe('')
    return null
  }
}

/** It can be an entry: whatever else is said of an object is skipped, by its name. */
function isSensible({ id, size, modifiedAt }: Listed): boolean {
  return /^[!-~]+$/.test(id) && Number.isSafeInteger(size) && Number.isFinite(modifiedAt)
}

/** The prefix's own marker is no entry, and not even skipped. */
function isNews(one: Listed): boolean {
  return one.key !== '' || one.size !== 0 || !isSensible(one)
}

/** What was read is all that a well-formed page says: each as it is said there, or skipped by its
 *  name. `order` where the listing has another than the page. */
export function expectSaid(
  { entries, skipped }: { entries: Entry[]; skipped: Page['skipped'] },
  said: Listed[],
  page: Buffer,
  order?: (a: Listed, b: Listed) => number,
): void {
  const all = said.filter(isNews)
  const unknown = new Set(skipped.map(({ key }) => key))
  const seen = all.filter((one) => isSensible(one) && !unknown.has(one.key))
  const found = entries.map(listedOf)
  if (order) for (const some of [found, seen]) some.sort(order)
  expect(found).toEqual(seen)
  expect(found.length + unknown.size, String(page)).toBe(all.length)
}

function listedOf({ key, token, size, modifiedAt }: Entry): Listed {
  return { key, id: token.id, size, modifiedAt }
}

/** Every true entry is there as it is, or is skipped: unknown, but not absent. */
export function isTruth(
  { entries, skipped }: { entries: Entry[]; skipped: Page['skipped'] },
  truth: Listed[],
): boolean {
  const unknown = new Set(skipped.map((one) => one.key))
  const known = truth.filter((one) => !unknown.has(one.key))
  const left = entries.map(listedOf)
  return (
    known.length + unknown.size === truth.length && JSON.stringify(left) === JSON.stringify(known)
  )
}
