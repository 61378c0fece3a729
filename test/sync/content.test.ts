/** When tokens, contents and metadata are the same; and when nobody can say. */
import { describe, expect, it } from 'vitest'
import type { Content, Metadata, Token } from '../../src/model.ts'
import {
  compareBytes,
  compareContent,
  contentKey,
  mergeContent,
  metadataText,
  sameToken,
} from '../../src/sync/content.ts'
import { observe } from '../../src/sync/observe.ts'
import { entryOf } from './table.ts'

const now = Date.UTC(2026, 0)

describe('a token', () => {
  it.each<[string, Token | null, Token | null, boolean]>([
    ['the same id', { id: 'a' }, { id: 'a' }, true],
    ['another id', { id: 'a' }, { id: 'b' }, false],
    ['none where none was', null, null, true],
    ['one where none was', null, { id: 'a' }, false],
    ['S3 tells seconds', { id: 'a', at: now + 900 }, { id: 'a', at: now }, true],
    ['rewritten a minute later', { id: 'a', at: now }, { id: 'a', at: now + 60_000 }, false],
    ['a time that only one tells', { id: 'a' }, { id: 'a', at: now }, true],
    // Else a change of metadata on GCS alone would never have been seen.
    ['the next metageneration', { id: 'a', at: 1 }, { id: 'a', at: 2 }, false],
    ['held while it could still change', { id: 'a', unsettled: true }, { id: 'a' }, false],
    ['seen while it could, held before', { id: 'a' }, { id: 'a', unsettled: true }, true],
  ])('%s', (_, held, seen, same) => {
    expect(sameToken(held, seen)).toBe(same)
  })

  it('that may still change proves nothing: the file is compared, and its next token kept', () => {
    const version = { run: 5, content: entryOf('x', { id: '' }), origin: 'A', at: 0 }
    const hold = { version, token: { id: 'a', unsettled: true as const } }
    const row = { key: 'k', rev: 1, head: version, holds: { A: hold } }
    const state = (text: string, unsettled: boolean) => {
      const token = { id: 'a', ...(unsettled ? { unsettled: true as const } : {}) }
      const one = observe('A', row, { kind: 'entry', entry: entryOf(text, token) })
      return one && `${one.state}${one.touched ? ', touched' : ''}`
    }
    expect(state('x!', false), 'not read yet').toBeNull()
    expect(state('x', false)).toBe('current, touched')
    expect(state('y', false)).toBe('changed')
    // Nothing is gained by noting the same token again.
    expect(state('x', true)).toBe('current')
  })
})

describe('contents', () => {
  const content = (digests: Content['digests'], size = 3): Content => ({ size, digests })
  it.each<[string, Content, Content, 'same' | 'different' | 'unknown']>([
    ['by the strongest that both show', content({ md5: 'm' }), content({ md5: 'm' }), 'same'],
    [
      'not by a weaker one',
      content({ sha256: 's', md5: 'm' }),
      content({ sha256: 't', md5: 'm' }),
      'different',
    ],
    ['size alone tells them apart', content({}), content({}, 4), 'different'],
    ['size alone never equals', content({}), content({}), 'unknown'],
    ['unless it is nothing', content({}, 0), content({}, 0), 'same'],
    ['no digest in common', content({ md5: 'm' }), content({ crc32c: 'c' }), 'unknown'],
  ])('are compared %s', (_, a, b, verdict) => {
    expect(compareBytes(a, b)).toBe(verdict)
    expect(compareBytes(b, a)).toBe(verdict)
  })

  it('differ by metadata, unless one side does not know any', () => {
    const typed = (contentType?: string): Content => ({
      ...content({ md5: 'm' }),
      ...(contentType === undefined ? {} : { metadata: { contentType } }),
    })
    expect(compareContent(typed('a'), typed('a'))).toBe('same')
    expect(compareContent(typed('a'), typed('b'))).toBe('different')
    expect(compareContent(typed('a'), typed())).toBe('same')
  })

  it('are known together by all that is known of them', () => {
    const merged = mergeContent(content({ md5: 'm' }), {
      ...content({ crc32c: 'c' }),
      metadata: {},
    })
    expect(merged).toEqual({ size: 3, digests: { md5: 'm', crc32c: 'c' }, metadata: {} })
  })

  it('have a name as soon as anything is known', () => {
    expect(contentKey(null)).toBe('deleted')
    expect(contentKey(content({ crc32c: 'c', md5: 'm' }))).toBe('md5:m:3')
    expect(contentKey(content({}, 0))).toBe('empty')
    expect(contentKey(content({}))).toBeNull()
  })
})

it('metadata is the same in any order, and without what says nothing', () => {
  const a: Metadata = { contentType: 't', cacheControl: '', user: { b: '2', a: '1' } }
  const b: Metadata = { user: { a: '1', b: '2' }, contentType: 't' }
  expect(metadataText(a)).toBe(metadataText(b))
  expect(metadataText(a)).not.toBe(metadataText({ ...b, user: { a: '1' } }))
  expect(metadataText({ user: { contenttype: 't' } })).not.toBe(metadataText({ contentType: 't' }))
})
