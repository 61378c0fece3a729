/** Configs from a broken editor, or from an enemy: a config, or a refusal with its place. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/index.ts'
import { parseSource } from '../../src/config/source.ts'
import { UserError } from '../../src/errors.ts'
import {
  folder,
  load,
  refusals,
  sample,
  setSampleVariables,
  setVariable,
  write,
} from '../config/written.ts'
import { mutate, mutations } from './mutations.ts'

async function expectAnswer(loading: Promise<unknown>): Promise<'taken' | 'refused'> {
  try {
    await loading
    return 'taken'
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    expect(error.code).toMatch(/^config-/)
    expect(error.message).not.toContain('call stack')
    expect(error.where).toBeTruthy()
    return 'refused'
  }
}

/** A text that is nested this deep. */
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
const aliases = (levels: number) =>
  Array.from({ length: levels }, (_, i) => {
    const parts = Array.from({ length: 9 }, () => (i === 0 ? 'x' : `*a${i - 1}`))
    return `a${i}: &a${i} [${parts.join(', ')}]\n`
  }).join('')

describe('a hostile config is refused by its code', () => {
  it.each([
    ['that stands for itself', 'locations: &a\n  x: *a\n', 'config-endless-alias'],
    ['that stands for itself in a list', 'datasets: &a [*a]\n', 'config-endless-alias'],
    ['whose aliases multiply', aliases(9), 'config-syntax'],
    ['that merges no map', 'locations:\n  <<: 5\n', 'config-syntax'],
    ['that merges itself', '&a\n<<: *a\nlocations: {}\n', 'config-syntax'],
    ['with an alias of nothing', 'locations: *a\n', 'config-syntax'],
    ['nested too deep', `a: ${nested(5_000)}`, 'config-too-deep'],
    ['of brackets alone', '['.repeat(200_000), 'config-too-deep'],
    [
      'of maps in maps',
      Array.from({ length: 900 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
      'config-too-deep',
    ],
    ['of megabytes', `#${' '.repeat(2 ** 20)}`, 'config-too-large'],
    ['in several documents', 'a: 1\n---\na: 2\n', 'config-syntax'],
    ['with a key twice', 'locations: {}\nlocations: {}\n', 'config-duplicate-key'],
    ['with tabs', 'locations:\n\ta: 1\n', 'config-tab'],
  ])('%s', async (_, yaml, code) => {
    expect((await refusals(yaml))[0]?.code).toBe(code)
  })

  it.each([
    ['a prototype for a location', 'locations: {__proto__: {type: file, path: x}}'],
    ['a prototype for an option', 'locations: {a: {type: file, path: x, __proto__: {b: 1}}}'],
    ['a prototype for a config', '__proto__: {locations: {}}'],
    ['a number that is none', 'locations: {a: {type: file, path: 1e999}}'],
    ['binary', 'locations: !!binary "@@@@"'],
    ['a key that is a list', '? [a, b]\n: 1'],
  ])('%s', async (_, yaml) => {
    const found = await refusals(`${yaml}\ndatasets: [{name: a, source: a, destinations: [b]}]\n`)
    for (const { code } of found) expect(code).toMatch(/^config-/)
    expect(({} as Record<string, unknown>).b).toBeUndefined()
  })

  it('that never ends, as a device, is too large', async () => {
    await expect(loadConfig('/dev/zero')).rejects.toMatchObject({ code: 'config-too-large' })
  })
})

describe('a hostile reference is refused by its code', () => {
  const referring = (text: string) =>
    `locations: {a: {type: file, path: ${JSON.stringify(text)}}, b: {type: file, path: ./b}}\n` +
    'datasets: [{name: d, source: a, destinations: [b]}]\n'

  it.each([
    ['in a reference', `\${env:\${env:A}}`, 'config-bad-reference'],
    ['that is not closed', `\${env:A`, 'config-bad-reference'],
    ['to a prototype', `\${env:__proto__}`, 'config-unset-variable'],
    ['to what every object has', `\${env:constructor}`, 'config-unset-variable'],
    ['to a file that never ends', `\${file:/dev/zero}`, 'config-reference-file'],
    ['to a folder', `\${file:/}`, 'config-reference-file'],
    ['of thousands', `\${env:A}`.repeat(5_000), 'config-unset-variable'],
    ['that are opened by the thousand', `\${`.repeat(50_000), 'config-bad-reference'],
  ])('%s', async (_, text, code) => {
    expect((await refusals(referring(text)))[0]?.code).toBe(code)
  })

  it('is replaced once: what it stands for is text', async () => {
    setVariable('TIDEMARK_FUZZ', `\${env:TIDEMARK_FUZZ}`)
    expect(await expectAnswer(load(referring(`./\${env:TIDEMARK_FUZZ}`)))).toBe('taken')
  })

  it('to a pipe waits for its end alone', async () => {
    const fifo = join(folder(), 'fifo')
    execFileSync('mkfifo', [fifo])
    const writing = import('node:fs/promises').then(({ writeFile }) => writeFile(fifo, './x\n'))
    expect(await expectAnswer(load(referring(`\${file:${fifo}}`)))).toBe('taken')
    await writing
  })
})

describe('a mangled config is a config or a refusal', () => {
  it('by chance and by design', async () => {
    setSampleVariables()
    const dir = folder()
    const ends = { taken: 0, refused: 0 }
    const any = fc.asyncProperty(mutations, async (harm) => {
      const yaml = mutate(Buffer.from(sample), harm)
      ends[await expectAnswer(loadConfig(write(yaml, dir)))]++
    })
    await fc.assert(any, { numRuns: 600 })
    console.log('configs:', ends)
    expect(Math.min(ends.taken, ends.refused)).toBeGreaterThan(10)
  })

  it('whatever its text', () => {
    const piece = fc.constantFrom(
      ...[
        'a',
        ': ',
        '- ',
        '\n',
        '  ',
        '\n  ',
        '{',
        '}',
        '[',
        ']',
        ',',
        '&a ',
        '*a',
        '<<: ',
        '!!',
        '!x ',
      ],
      ...[
        '"',
        "'",
        '|',
        '>',
        '#',
        '? ',
        '%YAML 1.1\n',
        '---\n',
        '...\n',
        '\t',
        '\0',
        '\ufeff',
        '\u2028',
      ],
      ...[
        '!!binary ',
        '!!set ',
        '!!omap ',
        '!!timestamp ',
        '0x',
        '1e9',
        '.nan',
        '~',
        'locations',
        '\ud800',
      ],
    )
    const text = fc.array(piece, { maxLength: 30 }).map((all) => all.join(''))
    const any = fc.property(text, (yaml) => {
      try {
        parseSource('/tidemark.yaml', yaml)
      } catch (error) {
        if (!(error instanceof UserError)) throw error
      }
    })
    fc.assert(any, { numRuns: 5_000 })
  })
})
