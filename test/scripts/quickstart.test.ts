/** What the quickstart asserts of four replicas, on replicas that were made wrong on purpose. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type Changes,
  chooseKeys,
  expectedContents,
  type Fate,
  sha256,
} from '../../scripts/quickstart/changes.ts'
import {
  contentProblems,
  fateProblems,
  type Replicas,
  vaultProblems,
} from '../../scripts/quickstart/checks.ts'
import { folderPlace, inParallel } from '../../scripts/quickstart/places.ts'
import { copySource, defaultSource, sourceAt } from '../../scripts/quickstart/source.ts'
import { makeWorkFolder, quoted } from '../../scripts/quickstart/work.ts'

const hash = (text: string) => sha256(Buffer.from(text))
const [old, edit] = [hash('old'), hash('edit')]

/** Four replicas that all hold this, but for what is said of one of them. */
function replicas(all: Record<string, string>, other: Record<string, Record<string, string>> = {}) {
  const names = ['core', 'aws', 'gcp', 'azure']
  return new Map(names.map((name) => [name, new Map(Object.entries(other[name] ?? all))]))
}

function folder(files: Record<string, string> = {}): string {
  const made = mkdtempSync(join(tmpdir(), 'tidemark-quickstart-test-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(made, name, '..'), { recursive: true })
    writeFileSync(join(made, name), text)
  }
  return made
}

describe('what must become of a changed key', () => {
  const edited: Fate = { key: 'k', done: 'edited in S3', expected: 'the edit', content: edit }
  const deleted: Fate = { key: 'k', done: 'deleted in GCS', expected: 'gone', content: null }

  it('holds where every replica has exactly that', () => {
    expect(fateProblems(edited, replicas({ k: edit }))).toEqual([])
    expect(fateProblems(deleted, replicas({ other: old }))).toEqual([])
  })

  it('fails by replica where one missed it', () => {
    expect(fateProblems(edited, replicas({ k: edit }, { gcp: { k: old } }))).toEqual([
      `k (edited in S3): expected the edit, but gcp has other content (${old.slice(0, 8)})`,
    ])
    expect(fateProblems(edited, replicas({ k: edit }, { azure: {} }))).toEqual([
      'k (edited in S3): expected the edit, but azure does not have it',
    ])
    expect(fateProblems(deleted, replicas({}, { core: { k: old } }))).toEqual([
      'k (deleted in GCS): expected gone, but core has it still',
    ])
  })

  it('fails at all four where the change was undone everywhere: identical is not enough', () => {
    expect(fateProblems(edited, replicas({ k: old }))).toHaveLength(4)
    expect(fateProblems(deleted, replicas({ k: old }))).toHaveLength(4)
  })
})

describe('what every replica must hold', () => {
  const copied = new Map([
    ['a', old],
    ['b', old],
    ['c', old],
  ])
  const fates: Fate[] = [
    { key: 'a', done: '', expected: '', content: edit },
    { key: 'b', done: '', expected: '', content: null },
    { key: 'n', done: '', expected: '', content: edit },
  ]
  const expected = expectedContents(copied, fates)

  it('is what was copied, and what became of the changes', () => {
    expect(Object.fromEntries(expected)).toEqual({ a: edit, c: old, n: edit })
    expect(contentProblems(expected, replicas({ a: edit, c: old, n: edit }))).toEqual([])
  })

  it('a key that is missing, different or too many is named with its replica', () => {
    const wrong = { azure: { a: old, n: edit, x: edit } }
    expect(contentProblems(expected, replicas({ a: edit, c: old, n: edit }, wrong))).toEqual([
      'azure: a has other content',
      'azure: c is missing',
      'azure: x must not be there',
    ])
  })

  it('a key that a store cannot hold is excused there, if Tidemark said so', () => {
    const held = replicas({ a: edit, c: old, n: edit }, { azure: { a: edit, n: edit } })
    expect(contentProblems(expected, held, new Map([['azure', new Set(['c'])]]))).toEqual([])
    expect(contentProblems(expected, held, new Map([['aws', new Set(['c'])]]))).toHaveLength(1)
  })

  it('an excused key with other content is still a problem', () => {
    const wrong = replicas({ a: edit, c: old, n: edit }, { azure: { a: edit, c: edit, n: edit } })
    expect(contentProblems(expected, wrong, new Map([['azure', new Set(['c'])]]))).toEqual([
      'azure: c has other content',
    ])
  })

  it('a long list breaks off, and says how much is left', () => {
    const many = new Map(Array.from({ length: 25 }, (_, i) => [`k${i}`, old] as const))
    const empty: Replicas = new Map([['gcp', new Map()]])
    const problems = contentProblems(many, empty)
    expect(problems).toHaveLength(11)
    expect(problems.at(-1)).toBe('gcp: … and 15 more keys')
  })
})

it('what no place has any more must be in the vault', () => {
  const kept: Changes['kept'] = [
    { content: old, what: 'what was deleted' },
    { content: edit, what: 'the loser' },
  ]
  expect(vaultProblems(kept, new Set([old, edit]))).toEqual([])
  expect(vaultProblems(kept, new Set([old]))).toEqual([
    `the vault does not have the loser (${edit.slice(0, 8)})`,
  ])
})

describe('the keys that are changed', () => {
  it('are four different ones, however few files there are', () => {
    const files = ['a', 'b b', 'ç', 'd/e'].map((key) => ({ key, size: 0 }))
    expect(new Set(Object.values(chooseKeys(files))).size).toBe(4)
  })

  it('are never ones that a store can not hold', () => {
    const odd = ['back\\slash', 'dot.', 'dot./x', 'new\nline', 'l'.repeat(201)]
    const files = [...odd, 'a', 'b', 'c', 'd'].map((key) => ({ key, size: 1 }))
    expect(Object.values(chooseKeys(files)).sort()).toEqual(['a', 'b', 'c', 'd'])
  })

  it('are small and plainly named where there are enough of those', () => {
    const odd = Array.from({ length: 50 }, (_, i) => ({ key: `odd ${i}`, size: 1 }))
    const large = Array.from({ length: 50 }, (_, i) => ({ key: `large${i}`, size: 1e6 }))
    const plain = Array.from({ length: 4 }, (_, i) => ({ key: `plain/${i}.txt`, size: 1 }))
    const chosen = Object.values(chooseKeys([...odd, ...plain, ...large]))
    expect(chosen.sort()).toEqual(plain.map(({ key }) => key))
  })
})

describe('the source', () => {
  const four = { a: '1', b: '2', 'c/d': '3', 'c/e f': '' }

  it('is copied byte for byte, without what is no file; what is left out is counted', async () => {
    const from = folder({ ...four, '.tidemark/id': 'x' })
    symlinkSync('a', join(from, 'link'))
    const before = readdirSync(from, { recursive: true })
    const source = await sourceAt(from, folder())
    const to = folder()
    const copied = await copySource(source, to)
    expect(Object.fromEntries(copied)).toEqual(
      Object.fromEntries(Object.entries(four).map(([key, text]) => [key, hash(text)])),
    )
    expect((await folderPlace(to).keys()).sort()).toEqual(Object.keys(four).sort())
    expect(Object.fromEntries(source.skipped)).toEqual({
      symlink: 1,
      "folder of Tidemark's own": 1,
    })
    expect(readdirSync(from, { recursive: true })).toEqual(before)
  })

  it('that is missing, a file, too small or around the work folder is refused by a code', async () => {
    const from = folder(four)
    const refused = (given: string, work: string | null) =>
      expect(sourceAt(given, work).catch((error: { code: string }) => error.code)).resolves
    await refused(join(from, 'none'), null).toBe('source-missing')
    await refused(join(from, 'a'), null).toBe('source-no-folder')
    await refused(folder({ a: '1' }), from).toBe('source-too-small')
    await refused(folder(), from).toBe('source-too-small')
    await refused(folder({ a: '', b: '', c: '', 'd.': '' }), from).toBe('source-too-small')
    await refused(from, join(from, 'not/there/yet')).toBe('source-holds-work')
    await refused(tmpdir(), null).toBe('source-holds-work')
    await refused('/', null).toBe('source-holds-work')
  })

  it('by default is a few thousand files that npm ci has brought', async () => {
    const { files, bytes } = await defaultSource()
    expect(files.length).toBeGreaterThan(2_000)
    expect(files.length).toBeLessThan(4_000)
    expect(bytes).toBeLessThan(64 * 1024 * 1024)
  })
})

it('a work folder that holds anything is refused, and stays as it is', async () => {
  const work = folder({ mine: '1' })
  await expect(makeWorkFolder(work)).rejects.toMatchObject({ code: 'work-not-empty' })
  expect(readdirSync(work)).toEqual(['mine'])
})

it('what is to be typed into a shell stays one word there', () => {
  expect(quoted('/tmp/a-b/c.yaml')).toBe('/tmp/a-b/c.yaml')
  expect(quoted("/tmp/it's me")).toBe(`'/tmp/it'\\''s me'`)
})

it('work in parallel ends with its first failure', async () => {
  const done: number[] = []
  const items = Array.from({ length: 1_000 }, (_, i) => i)
  const working = inParallel(items, async (item) => {
    if (item === 20) throw new Error('no')
    done.push(item)
  })
  await expect(working).rejects.toThrow('no')
  expect(done.length).toBeLessThan(1_000)
})
