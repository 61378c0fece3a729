/** `tidemark vault`: what it has, what of it goes, what it lacks. */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { servedField } from './served.ts'

const field = servedField()
const data = field.dataset('data', { history: { versions: 2 } })

/** The vault's files, below its catalog's folder. */
function files(): string[] {
  const root = join(field.state, 'vault')
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('.tidemark'))
    .map(({ parentPath, name }) => join(parentPath, name))
}

/** As if all had been put two hours ago: what is younger isn't collected. */
function age(): void {
  const database = new DatabaseSync(join(field.state, 'catalog.db'))
  database.exec('update vault_objects set used_at = used_at - 7200000')
  database.close()
}

describe('tidemark vault', () => {
  it('says what it has', async () => {
    for (const text of ['first', 'second', 'third']) {
      writeFileSync(join(data.one, 'key'), text)
      await field.json(data, 'sync')
    }
    const { code, stdout } = await field.tidemark(data, 'vault')
    expect(stdout).toMatch(/^vault {4}file:.*\nobjects {2}2\ncontent {2}11 B\nstored {3}11 B\n$/)
    expect(code).toBe(0)
    expect(await field.json(data, 'vault')).toMatchObject({ objects: 2, bytes: 11, others: [] })
  })

  it('check: all is there, and exits with 0', async () => {
    for (const args of [[], ['--deep']]) {
      const { code, stdout } = await field.tidemark(data, 'vault', 'check', ...args)
      expect(stdout).toMatch(/^2 objects (looked at|read), all there\n$/)
      expect(code).toBe(0)
    }
  })

  it('gc --dry-run counts, gc removes, and what is there stays', async () => {
    age()
    const dry = await field.tidemark(data, 'vault', 'gc', '--dry-run')
    expect(dry.stdout).toBe('1 version of history would go\n1 object would go, 5 B freed\n')
    expect(files()).toHaveLength(2)
    const { code, stdout } = await field.tidemark(data, 'vault', 'gc')
    expect(stdout).toBe('1 version of history gone\n1 object gone, 5 B freed\n')
    expect(code).toBe(0)
    expect(files().map((path) => readFileSync(path, 'utf8'))).toEqual(['second'])
    const none = { lines: 0, objects: 0, stored: 0, failed: [], exit: 0 }
    expect(await field.json(data, 'vault', 'gc')).toMatchObject(none)
  })

  it('check: names what is damaged or missing and who needs it, and exits with 5', async () => {
    const [path = ''] = files()
    writeFileSync(path, 'Second')
    expect((await field.tidemark(data, 'vault', 'check')).code).toBe(0)
    const deep = await field.tidemark(data, 'vault', 'check', '--deep')
    expect(deep.stdout).toMatch(/^damaged {2}.*…-? {0,2}.*6 B\n {2}needed by data:key@2\n/)
    expect(deep.code).toBe(5)
    rmSync(path)
    const { code, stdout } = await field.tidemark(data, 'vault', 'check')
    expect(stdout).toMatch(/^missing .*\n {2}needed by data:key@2\n1 object looked at, others/)
    expect(code).toBe(5)
    expect(await field.json(data, 'vault', 'check')).toMatchObject({
      bad: [{ problem: 'missing', size: 6, neededBy: [{ dataset: 'data', key: 'key', run: 2 }] }],
      exit: 5,
    })
  })

  it('refuses what it can’t be asked for', async () => {
    for (const args of [['sweep'], ['gc', '--deep'], ['check', '--dry-run'], ['--deep']]) {
      const { code, stderr } = await field.tidemark(data, 'vault', ...args)
      expect(stderr).toContain('error [usage-invalid]')
      expect(code).toBe(2)
    }
  })

  it('takes no other folder for its own, until it is told so', async () => {
    const root = join(field.state, 'vault')
    renameSync(root, `${root}-away`)
    for (const args of [[], ['gc'], ['check']]) {
      const { code, stderr } = await field.tidemark(data, 'vault', ...args)
      expect(stderr).toMatch(/error \[root-missing\]: .*tidemark vault rebind/)
      expect(code).toBe(6)
    }
    expect((await field.tidemark(data, 'vault', 'rebind')).code).toBe(0)
    expect(await field.json(data, 'vault')).toMatchObject({
      objects: 0,
      others: [{ objects: 1, vault: expect.stringMatching(/^file:/) }],
    })
  })

  it('says that the vault’s folder is gone, and exits with 6', async () => {
    const elsewhere = field.dataset('elsewhere')
    const config = JSON.parse(readFileSync(elsewhere.config, 'utf8')) as object
    const vault = { type: 'file', path: join(field.state, 'none-such') }
    writeFileSync(elsewhere.config, JSON.stringify({ ...config, vault }))
    for (const args of [[], ['gc'], ['check']]) {
      const { code, stderr } = await field.tidemark(elsewhere, 'vault', ...args)
      expect(stderr).toContain('error [root-missing]')
      expect(code).toBe(6)
    }
  })
})
