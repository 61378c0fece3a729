import { expect } from 'vitest'
import type { Connector } from '../../connectors/connector.ts'
import { StoreError } from '../../src/errors.ts'
import { compareKeys, keyProblem } from '../../src/sync/keys.ts'
import {
  type Cases,
  calling,
  entriesOf,
  expectContent,
  failsWith,
  keysOf,
  put,
  removing,
  text,
} from './world.ts'

const odd = [
  'with space',
  ' leading and trailing ',
  'percent%',
  'percent%2Fslash',
  'percent%25',
  'plus+plus',
  'and&and=1',
  'hash#hash',
  'question?x=1',
  "quote's",
  'double"quote',
  '<tag>',
  'semi;colon:at@comma,',
  'back`tick|pipe^caret~tilde!',
  '{braces}[brackets](parens)$*',
  'emoji \u{1f469}\u200d\u{1f52c} \u{1f600}',
  'nfc \u00e9',
  'nfd e\u0301',
  'right to left \u05d0\u05d1',
  '中文/日本語/한국어',
  'a/b/c/d/e/f/g',
  '...',
  'dots../..dots',
  'UPPER',
  'upper',
]

/** Refused at planning and at writing alike. */
const refusable = [
  'a//b',
  '/a',
  'a/',
  '.',
  '..',
  'a/../b',
  '../a',
  'a/./b',
  'a\0b',
  'lone \ud83d surrogate',
  `${'s'.repeat(256)}/long-segment`,
]

/** A name of so many bytes, in segments that any file system takes. */
function nameOf(bytes: number): string {
  const segment = `${'x'.repeat(199)}/`
  const name = segment.repeat(Math.ceil(bytes / segment.length)).slice(0, bytes)
  return name.endsWith('/') ? `${name.slice(0, -1)}x` : name
}

async function roundTrip(connector: Connector, key: string): Promise<void> {
  const bytes = text(`content of ${key}`)
  const { token } = await put(connector, key, bytes)
  await expectContent(connector, key, bytes)
  expect(await keysOf(connector)).toContain(key)
  await connector.remove(key, token, removing())
  expect(await connector.stat(key, calling()), key).toBeNull()
}

/** Either both are there, or the second was refused by name and the first is untouched. */
async function sideBySide(connector: Connector, first: string, second: string): Promise<void> {
  await put(connector, first, text('first'))
  try {
    await put(connector, second, text('second'))
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    expect(error.code).toBe('cannot-hold')
    await expectContent(connector, first, text('first'))
    expect(await keysOf(connector)).toEqual([first])
    return
  }
  await expectContent(connector, first, text('first'))
  await expectContent(connector, second, text('second'))
}

export const keyCases: Cases = {
  'odd names are kept as they are': async ({ connector }) => {
    const held = odd.filter((key) => keyProblem(key, connector.traits.keys) === null)
    for (const key of held) await put(connector, key, text(`content of ${key}`))
    const listed = await entriesOf(connector)
    expect(listed.map((entry) => entry.key)).toEqual([...held].sort(compareKeys))
    for (const { key, token } of listed) {
      await expectContent(connector, key, text(`content of ${key}`))
      await connector.remove(key, token, removing())
    }
    expect(await keysOf(connector)).toEqual([])
  },

  'odd names of others are seen as they are': async ({ connector, putForeign }) => {
    const held = odd.filter((key) => keyProblem(key, connector.traits.keys) === null)
    for (const key of held) await putForeign(key, text(`content of ${key}`))
    expect(await keysOf(connector)).toEqual([...held].sort(compareKeys))
    for (const key of held) await expectContent(connector, key, text(`content of ${key}`))
  },

  'the longest name is held': async ({ connector }) => {
    const { bytesMax, prefixBytes, segmentBytesMax } = connector.traits.keys
    const key = nameOf(Math.min(1_024, bytesMax) - prefixBytes)
    expect(keyProblem(key, connector.traits.keys)).toBeNull()
    await roundTrip(connector, key)
    if (segmentBytesMax) await roundTrip(connector, 's'.repeat(segmentBytesMax))
  },

  'a longer name is refused, at planning and at writing': async ({ connector }) => {
    const { bytesMax, prefixBytes } = connector.traits.keys
    const key = nameOf(bytesMax - prefixBytes + 1)
    expect(keyProblem(key, connector.traits.keys)).not.toBeNull()
    await failsWith('cannot-hold', put(connector, key, text('1')))
    expect(await keysOf(connector)).toEqual([])
  },

  'what the rules forbid, write refuses': async ({ connector }) => {
    const { reservedPrefix } = connector.traits.keys
    const keys = [...refusable, ...(reservedPrefix ? [`${reservedPrefix}x`] : [])]
    for (const key of keys) {
      if (keyProblem(key, connector.traits.keys) === null) continue
      await failsWith('cannot-hold', put(connector, key, text('1')))
    }
    expect(await keysOf(connector)).toEqual([])
  },

  'a key beside a key below it: both, or the second is refused': async ({ connector }) => {
    await sideBySide(connector, 'a', 'a/b')
  },

  'a key beside a key above it: both, or the second is refused': async ({ connector }) => {
    await sideBySide(connector, 'a/b', 'a')
  },

  'names that differ in case: both, or the second is refused': async ({ connector }) => {
    await sideBySide(connector, 'Name', 'name')
  },

  'names that differ in composition: both, or the second is refused': async ({ connector }) => {
    await sideBySide(connector, '\u00e9', 'e\u0301')
  },
}
