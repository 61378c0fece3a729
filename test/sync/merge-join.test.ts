/** One walk over all listings and the baseline: order, laziness, and what may be called absent. */
import { describe, expect, it } from 'vitest'
import type { Page } from '../../connectors/connector.ts'
import type { BaselineRow, Entry, Key } from '../../src/model.ts'
import { compareKeys } from '../../src/sync/keys.ts'
import { type JoinedKey, type Listing, mergeJoin } from '../../src/sync/merge-join.ts'

function entry(key: Key): Entry {
  return { key, size: 1, digests: {}, token: { id: key }, modifiedAt: 0 }
}

function row(key: Key): BaselineRow {
  const head = { run: 1, content: null, origin: 'A', at: 0 }
  return { key, rev: 1, head, holds: {} }
}

interface Watched extends Listing {
  pulled: number
}

/** Pages of keys; `skip:` before a key that can't be one. Counts the pages that were pulled. */
function listing(...pages: Key[][]): Watched {
  async function* pull(): AsyncGenerator<Page> {
    for (const keys of pages) {
      watched.pulled++
      yield {
        entries: keys.filter((key) => !key.startsWith('skip:')).map(entry),
        skipped: keys
          .filter((key) => key.startsWith('skip:'))
          .map((key) => ({ key: key.slice(5), reason: 'a symlink' })),
      }
    }
  }
  const watched: Watched = { pages: pull(), reason: '', pulled: 0 }
  return watched
}

const unknown: Listing = { pages: null, reason: 'offline' }

async function* baseline(...pages: Key[][]): AsyncGenerator<BaselineRow[]> {
  for (const keys of pages) yield keys.map(row)
}

async function joined(listings: Listing[], rows = baseline(), batch = 100): Promise<JoinedKey[]> {
  const all: JoinedKey[] = []
  for await (const keys of mergeJoin(listings, rows, batch)) all.push(...keys)
  return all
}

/** `a +-?`: a is an entry at the first, absent at the second, unknown at the third; `=`: in the
 *  baseline. */
function told({ key, row: held, observations }: JoinedKey): string {
  const marks = { entry: '+', absent: '-', unknown: '?' }
  return `${key} ${held ? '=' : ''}${observations.map(({ kind }) => marks[kind]).join('')}`
}

describe('the join', () => {
  it('has every key of listings and baseline once, with what each replica shows', async () => {
    const keys = await joined(
      [listing(['a', 'c'], ['d']), listing(['b', 'c'])],
      baseline(['c', 'e']),
    )
    expect(keys.map(told)).toEqual(['a +-', 'b -+', 'c =++', 'd +-', 'e =--'])
  })

  it('I9: goes by UTF-8 bytes: dir, dir-x, dir/x; and U+FFFF before an emoji', async () => {
    const sorted = ['dir', 'dir-x', 'dir/x', 'dirx', '\uffff', '\u{1f600}']
    expect(sorted).toEqual([...sorted].sort(compareKeys))
    const odd = sorted.filter((_, i) => i % 2 === 1)
    const even = sorted.filter((_, i) => i % 2 === 0)
    const keys = await joined([listing(odd), listing(even)], baseline(sorted))
    expect(keys.map(({ key }) => key)).toEqual(sorted)
    expect(keys.every(({ row: held }) => held !== null)).toBe(true)
  })

  it('goes on over empty pages, in listings and in the baseline', async () => {
    const keys = await joined(
      [listing([], ['a'], [], [], ['b'], [])],
      baseline([], ['a'], [], ['c']),
    )
    expect(keys.map(told)).toEqual(['a =+', 'b +', 'c =-'])
  })

  it('nothing at all is no batch', async () => {
    expect(await joined([listing(), unknown])).toEqual([])
  })

  it('cuts batches of the size that is asked for', async () => {
    const sizes: number[] = []
    for await (const batch of mergeJoin([listing(['a', 'b', 'c'], ['d', 'e'])], baseline(), 2)) {
      sizes.push(batch.length)
    }
    expect(sizes).toEqual([2, 2, 1])
  })
})

describe('memory holds one page of each', () => {
  it('pulls the next page when the one before is used up, and no sooner', async () => {
    const long = listing(['a', 'b'], ['c', 'd'], ['e', 'f'])
    const far = listing(['z'])
    const walk = mergeJoin([long, far], baseline(['a'], ['b']), 1)
    const pulled: number[] = []
    for (let i = 0; i < 5; i++) {
      await walk.next()
      pulled.push(long.pulled)
    }
    expect(pulled).toEqual([1, 1, 2, 2, 3])
    expect(far.pulled).toBe(1)
  })

  it('fills all that ran dry together: the stores answer side by side', async () => {
    const asked: string[] = []
    const release: (() => void)[] = []
    const slow = (name: string): Listing => ({
      reason: '',
      pages: {
        next: () => {
          asked.push(name)
          return new Promise((resolve) => {
            release.push(() => resolve({ done: true, value: undefined }))
          })
        },
      },
    })
    const end = mergeJoin([slow('A'), slow('B')], baseline(), 1).next()
    await Promise.resolve()
    expect(asked).toEqual(['A', 'B'])
    for (const one of release) one()
    expect((await end).done).toBe(true)
  })
})

describe('what may be called absent (I3)', () => {
  it('nothing of a replica that is unknown: it is never pulled', async () => {
    const keys = await joined([listing(['a']), unknown], baseline(['a', 'b']))
    expect(keys.map(told)).toEqual(['a =+?', 'b =-?'])
    expect(keys[0]?.observations[1]).toEqual({ kind: 'unknown', reason: 'offline' })
  })

  it('not what is skipped, nor what lies below it', async () => {
    const keys = await joined(
      [listing(['a', 'skip:dir', 'e'])],
      baseline(['dir', 'dir-x', 'dir/a', 'dir/b/c', 'dir0', 'dirx']),
    )
    expect(keys.map(told)).toEqual([
      'a +',
      'dir =?',
      'dir-x =-',
      'dir/a =?',
      'dir/b/c =?',
      'dir0 =-',
      'dirx =-',
      'e +',
    ])
  })

  it('not below one skipped folder while another comes between it and its keys', async () => {
    const keys = await joined(
      [listing(['skip:dir', 'skip:dir-x'])],
      baseline(['dir-x/a', 'dir/a', 'dir/z']),
    )
    expect(keys.map(told)).toEqual(['dir ?', 'dir-x ?', 'dir-x/a =?', 'dir/a =?', 'dir/z =?'])
  })

  it('not below a folder that could not be read, whose key ends with a slash', async () => {
    const keys = await joined([listing(['skip:dir/'])], baseline(['dir-x', 'dir/a', 'dir0']))
    expect(keys.map(told)).toEqual(['dir-x =-', 'dir/ ?', 'dir/a =?', 'dir0 =-'])
  })

  it('not what a skip before the begin of the listing hides, which is no key here', async () => {
    async function* begun(): AsyncGenerator<Page> {
      const hidden = [{ prefix: 'dir/', reason: 'a symlink' }]
      yield { entries: [entry('dir-x')], skipped: [], hidden, resume: 'dir-x' }
      yield { entries: [], skipped: [] }
    }
    const keys = await joined([{ pages: begun(), reason: '' }], baseline(['dir-y', 'dir/a', 'e']))
    expect(keys.map(told)).toEqual(['dir-x +', 'dir-y =-', 'dir/a =?', 'e =-'])
  })

  it('a folder skipped at one replica says nothing of another', async () => {
    const keys = await joined([listing(['skip:dir']), listing(['dir/b'])], baseline(['dir/a']))
    expect(keys.map(told)).toEqual(['dir ?-', 'dir/a =?-', 'dir/b ?+'])
  })
})

describe('what fails, fails the walk', () => {
  it('an error in a listing, also in its middle', async () => {
    async function* broken(): AsyncGenerator<Page> {
      yield { entries: [entry('a')], skipped: [], resume: 'a' }
      throw new Error('connection cut')
    }
    const walk = joined([{ pages: broken(), reason: '' }, listing(['a', 'b'])])
    await expect(walk).rejects.toThrow('connection cut')
  })

  it('an error in the baseline', async () => {
    async function* broken(): AsyncGenerator<BaselineRow[]> {
      yield [row('a')]
      throw new Error('catalog unreachable')
    }
    await expect(joined([listing(['a', 'b'])], broken())).rejects.toThrow('catalog unreachable')
  })

  it.each([
    ['goes back', ['a', 'c', 'b']],
    ['repeats a key', ['a', 'b', 'b']],
    ["follows JavaScript's order", ['\u{1f600}', '\uffff']],
  ])('I9: a listing that %s', async (_, keys) => {
    await expect(joined([listing(keys)])).rejects.toThrow(/out of order/)
    await expect(joined([listing(['a'])], baseline(keys))).rejects.toThrow(/out of order/)
  })
})
