// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are what is tested
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { resolveReferences } from '../../src/config/index.ts'
import { folder, load, setVariable } from './written.ts'

describe('a reference', () => {
  it('is replaced in any string, at any depth, any number of times', async () => {
    setVariable('TIDEMARK_TEST_A', 'one')
    setVariable('TIDEMARK_TEST_B', '${env:TIDEMARK_TEST_A}')
    const value = {
      x: '${env:TIDEMARK_TEST_A}-${env:TIDEMARK_TEST_A}',
      y: ['${env:TIDEMARK_TEST_A}', 1, null, true],
      // What a variable holds is not looked into.
      z: '${env:TIDEMARK_TEST_B}',
    }
    expect(await resolveReferences(value)).toEqual({
      x: 'one-one',
      y: ['one', 1, null, true],
      z: '${env:TIDEMARK_TEST_A}',
    })
  })

  it('is escaped by a second dollar', async () => {
    expect(await resolveReferences('$${env:X} $$ $x {y}')).toBe('${env:X} $$ $x {y}')
  })

  it('to a file gives its content without the line break at its end', async () => {
    const dir = folder()
    writeFileSync(join(dir, 'secret'), 'pass word\n')
    const yaml = `locations:
  a: { type: memory, store: "\${file:./secret}" }
  b: { type: memory, store: b }
dataset: { name: d, source: a, destinations: [b] }
`
    const { locations } = await load(yaml, dir)
    // Kept as a reference that means the same from any folder.
    expect(locations.a).toMatchObject({ store: `\${file:${join(dir, 'secret')}}` })
    expect(await resolveReferences(locations.a)).toMatchObject({ store: 'pass word' })
  })

  it.each([
    ['an unset variable', '${env:TIDEMARK_NOPE}', 'config-unset-variable'],
    ['a missing file', '${file:/nowhere/x}', 'config-reference-file'],
    ['another kind', '${vault:x}', 'config-bad-reference'],
  ])('to %s is refused', async (_what, text, code) => {
    const options = { type: 'memory', store: text }
    await expect(resolveReferences(options)).rejects.toMatchObject({ code, where: 'store' })
  })

  it('to a variable that is set to nothing is refused as well', async () => {
    setVariable('TIDEMARK_TEST_A', '')
    await expect(resolveReferences('${env:TIDEMARK_TEST_A}')).rejects.toMatchObject({
      code: 'config-unset-variable',
      message: 'the environment variable TIDEMARK_TEST_A is empty',
    })
  })
})
