/** GCS's listings, mangled. What must hold is in listed.ts. */
import fc from 'fast-check'
import { getNodeValue, type Node, parseTree } from 'jsonc-parser'
import { describe, expect, it } from 'vitest'
import type { Connector } from '../../connectors/connector.ts'
import { parseObject } from '../../connectors/gcs-api.ts'
import { pageOf, readPage } from '../../connectors/gcs-list.ts'
import { textOf } from '../../connectors/reply-body.ts'
import { StoreError } from '../../src/errors.ts'
import { expectSaid, isTruth, type Listed, prefix, readAs, truths } from './listed.ts'
import { mutate, mutations } from './mutations.ts'

/** A bucket whose pages are these bytes; as the connector reads them. */
function bucket(answer: (token?: string) => Buffer): Connector['list'] {
  return async function* list() {
    let token: string | undefined
    do {
      const { page, next, last } = read(answer(token))
      if (next === undefined) yield page
      else if (last !== undefined) yield { ...page, resume: last }
      token = next
    } while (token !== undefined)
  }
}

function read(bytes: Buffer) {
  try {
    const reply = parseObject(textOf(bytes))
    if (reply === null) throw new Error('the reply is not a JSON object')
    const listed = readPage(reply)
    return { ...pageOf(listed, prefix, undefined), next: listed.next }
  } catch (error) {
    // What isn't thrown on purpose is a crash.
    if ((error as Error).name !== 'Error') throw error
    const details = { location: 'gcs', operation: 'list' }
    throw new StoreError('unavailable', (error as Error).message, details)
  }
}

function answerOf(all: Listed[], next: string, pretty: boolean): Buffer {
  const items = all.map(({ key, id, size, modifiedAt }) => ({
    ...{ name: prefix + key, generation: String(id.length), metageneration: '2' },
    ...{ size: String(size), updated: new Date(modifiedAt).toISOString() },
    ...{ md5Hash: 'XUFAKrxLKna5cZ2REBfFkg==', crc32c: 'aVnuLQ==', contentType: 'text/plain' },
    metadata: { items: 'i', nextPageToken: 'n', ['__proto__']: 'p' },
  }))
  const page = {
    kind: 'storage#objects',
    ...(next && { nextPageToken: next }),
    ...(items.length > 0 && { items }),
  }
  return Buffer.from(JSON.stringify(page, null, pretty ? 1 : 0))
}

/** What GCS tells of it. */
const shown = (one: Listed): Listed => ({ ...one, id: `${one.id.length}.2` })

/** What a page says that is JSON, of a listing's fields alone, each once; null: it isn't. */
function saidBy(bytes: Buffer): { items: Listed[]; next: string | undefined } | null {
  const tree = parseTree(bytes.toString())
  if (!tree || !isOnce(tree)) return null
  const page = getNodeValue(tree) as Record<string, unknown>
  const own = ['kind', 'items', 'nextPageToken']
  if (Object.keys(page).some((name) => !own.includes(name))) return null
  const { items = [], nextPageToken } = page as {
    items?: Record<string, unknown>[]
    nextPageToken?: string
  }
  const listed = items.map((item) => ({
    key: wordsIn(item.name).slice(prefix.length),
    id: [item.generation, item.metageneration].map(numberIn).join('.'),
    size: Number(numberIn(item.size)),
    modifiedAt: Date.parse(wordsIn(item.updated)),
  }))
  return { items: listed, next: nextPageToken }
}

const numberIn = (value: unknown) => /^\d+$/.exec(wordsIn(value))?.[0] ?? '?'

const wordsIn = (value: unknown) => (typeof value === 'string' ? value : '')

/** No object in it has a field twice. */
function isOnce(node: Node): boolean {
  const names = (node.children ?? []).map(({ children }) => children?.[0]?.value as unknown)
  const once = node.type !== 'object' || new Set(names).size === names.length
  return once && (node.children ?? []).every(isOnce)
}

async function expectNoLie(
  truth: Listed[],
  split: number,
  pretty: boolean,
  harm: (page: Buffer) => Buffer,
): Promise<string> {
  const [first, rest] = [truth.slice(0, split), truth.slice(split)]
  const page = harm(answerOf(first, rest.length > 0 ? 't1' : '', pretty))
  const found = await readAs(
    bucket((token) => (token === undefined ? page : answerOf(rest, '', pretty))),
  )
  if (found === null) return 'refused'
  if (isTruth(found, truth.map(shown))) return found.skipped.length > 0 ? 'skipped' : 'true'
  // What can't be seen: another page that is as well-formed. A changed letter of a name, digit of a
  // size, time or generation; and, for GCS gives no count, whole items or fields that were cut out
  // exactly, `"nextPageToken":…,` and `"items":…` among them.
  const said = saidBy(page)
  expect(said, `not well-formed, and taken: ${page}`).not.toBeNull()
  const behind = said?.next === undefined ? [] : rest.map(shown)
  expectSaid(found, [...(said?.items ?? []), ...behind], page)
  return 'another'
}

describe('a mangled listing of GCS is refused, or says what it says: it loses no name', () => {
  it('by chance and by design', async () => {
    const ends: Record<string, number> = {}
    const any = fc.asyncProperty(truths, fc.nat(6), fc.boolean(), mutations, async (...one) => {
      const [truth, split, pretty, harm] = one
      const end = await expectNoLie(truth, split, pretty, (page) => mutate(page, harm))
      ends[end] = (ends[end] ?? 0) + 1
    })
    await fc.assert(any, { numRuns: 10_000 })
    console.log('GCS listings:', ends)
    expect(Math.min(ends.refused ?? 0, ends.true ?? 0, ends.another ?? 0)).toBeGreaterThan(50)
  })

  it('truncated at every place', async () => {
    const truth = ['a', 'b', 'c'].map((key) => ({ key, id: 'e', size: 1, modifiedAt: 1_000 }))
    for (const pretty of [false, true]) {
      const { length } = answerOf(truth, '', pretty)
      for (let at = 0; at < length; at++) {
        const end = await expectNoLie(truth, 3, pretty, (page) => page.subarray(0, at))
        expect(end, `cut at ${at} of ${length}`).toBe('refused')
      }
    }
  })
})
