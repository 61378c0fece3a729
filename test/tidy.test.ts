/** The laws of style, as a test. What is allowed in spite of them stands here, with its reason. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { allFindings, type Finding, folders } from './tidy-rules.ts'

interface Exception {
  file: string
  rule: string
  reason: string
}

const exceptions: Exception[] = [
  {
    file: 'test/simulation/mutants.ts',
    rule: 'columns',
    reason: 'its patches are lines of sources, and what stands in their place',
  },
  {
    file: 'src/temporal/binaries.ts',
    rule: 'banned',
    reason: 'where programs are is a matter of the machine (PATH, TIDEMARK_*_BIN), not of a config',
  },
]

async function filesBelow(root: string): Promise<string[]> {
  const found: string[] = []
  for (const folder of folders) {
    const entries = await readdir(join(root, folder), { recursive: true }).catch((error) => {
      if (error.code === 'ENOENT') return []
      throw error
    })
    for (const entry of entries) {
      if (entry.endsWith('.ts') && !entry.includes('fixtures')) found.push(`${folder}/${entry}`)
    }
  }
  return found.sort()
}

const show = ({ file, line, rule, what }: Finding) => `${file}:${line} ${rule}: ${what}`

describe('tidy', () => {
  const root = fileURLToPath(new URL('..', import.meta.url))

  it('the tree keeps the laws of style: sizes, import directions, banned calls', async () => {
    const findings = await allFindings(root, await filesBelow(root))
    const left = findings.filter(
      ({ file, rule }) => !exceptions.some((known) => known.file === file && known.rule === rule),
    )
    expect(left.map(show)).toEqual([])
  })

  it('every exception is still needed', async () => {
    const findings = await allFindings(root, await filesBelow(root))
    const unused = exceptions.filter(
      (known) => !findings.some(({ file, rule }) => known.file === file && known.rule === rule),
    )
    expect(unused).toEqual([])
  })

  const lines = (count: number) => Array.from({ length: count }, (_, n) => `  a(${n})`).join('\n')
  const planted: [string, string, string][] = [
    ['function-lines', 'src/long.ts', `function f() {\n${lines(71)}\n}\n`],
    ['file-lines', 'src/long.ts', `${lines(401)}\n`],
    ['columns', 'src/wide.ts', `const a = '${'x'.repeat(100)}'\n`],
    ['imports', 'src/sync/a.ts', `import { readFile } from 'node:fs'\n`],
    ['imports', 'src/sync/a.ts', `import { catalog } from '../catalog/catalog.ts'\n`],
    [
      'imports',
      'workflows/a.ts',
      `import {\n  createActivities,\n} from '../activities/index.ts'\n`,
    ],
    ['imports', 'workflows/a.ts', `const a = await import('node:fs')\n`],
    ['imports', 'connectors/a.ts', `import { c } from '../src/catalog/catalog.ts'\n`],
    ['imports', 'activities/a.ts', `import { openConnector } from '../connectors/index.ts'\n`],
    ['imports', 'src/temporal/a.ts', `export { x } from '../cli/output.ts'\n`],
    ['banned', 'src/a.ts', `const a = process.env.HOME\n`],
    ['banned', 'src/a.ts', `keys.sort((a, b) => a.localeCompare(b))\n`],
    ['banned', 'src/sync/a.ts', `const a = Date.now()\n`],
    ['banned', 'workflows/a.ts', `const a = Math.random()\n`],
    ['banned', 'workflows/a.ts', `const a = fetch('x')\n`],
    ['banned', 'test/a.test.ts', `it.skip('x', () => {})\n`],
    ['banned', 'test/a.test.ts', `describe.only('x', () => {})\n`],
    [
      'swallow',
      'src/a.ts',
      `function f() {\n  try {\n    g()\n  } catch {\n    return null\n  }\n}\n`,
    ],
    ['swallow', 'src/a.ts', `await f().catch(() => null)\n`],
  ]

  it.each(planted)('finds a breach of %s in %s', async (rule, file, text) => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-planted-'))
    try {
      await mkdir(dirname(join(folder, file)), { recursive: true })
      await writeFile(join(folder, file), text)
      const findings = await allFindings(folder, [file])
      expect(findings.map((finding) => finding.rule)).toEqual([rule])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('lets pass what is allowed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-planted-'))
    const files: Record<string, string> = {
      'src/a.ts': 'try {\n  g()\n} catch {\n  // It may be gone already: that is as good.\n}\n',
      'workflows/a.ts': `import type { Activities } from '../activities/index.ts'\n`,
      'connectors/a.ts':
        `export function make() {\n  function f() {\n${lines(60)}\n  }\n` +
        `  function g() {\n${lines(60)}\n  }\n  return { f, g }\n}\n`,
    }
    try {
      for (const [file, text] of Object.entries(files)) {
        await mkdir(dirname(join(folder, file)), { recursive: true })
        await writeFile(join(folder, file), text)
      }
      expect((await allFindings(folder, Object.keys(files))).map(show)).toEqual([])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
