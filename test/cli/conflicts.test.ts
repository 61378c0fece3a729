/** The conflict inbox, as processes against one server: what a person sees, decides, takes back. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { configure, type Dataset, servedField } from './served.ts'
import { onTerminal, whyNoTerminal } from './terminal.ts'

const field = servedField()

const noTerminal = whyNoTerminal()

interface Shown {
  id: number
  key: string
  state: string
  undone: boolean
  why?: string | null
  done?: boolean
  problems?: { reason: string }[]
  resolution: { by?: string; strategy: string } | null
  contenders: { content: object | null; replicas: string[] }[]
  diffs?: { diff: string }[]
}

const inbox = async (data: Dataset, ...args: string[]) =>
  (await field.json<{ conflicts: Shown[] }>(data, 'conflicts', 'list', data.name, ...args))
    .conflicts

const at = (folder: string, key: string) => readFileSync(join(folder, key), 'utf8')

/** Agreed on `base`, then edited on both sides differently: every key is in conflict. */
async function inConflict(
  name: string,
  keys: string[],
  settings: Record<string, unknown> = {},
): Promise<Dataset> {
  const data = field.dataset(name, { 'conflict-resolution': 'manual', ...settings })
  const write = (folder: string, text: string) => {
    for (const key of keys) {
      mkdirSync(join(folder, key, '..'), { recursive: true })
      writeFileSync(join(folder, key), `${text} of ${key}\n`)
    }
  }
  write(data.one, 'base')
  expect((await field.tidemark(data, 'sync', name)).code).toBe(0)
  write(data.one, 'one')
  write(data.two, 'the other')
  expect((await field.tidemark(data, 'sync', name)).code).toBe(4)
  return data
}

describe('the list', () => {
  it('is empty where nothing is open, and says so', async () => {
    const data = field.dataset('quiet')
    const { code, stdout } = await field.tidemark(data, 'conflicts')
    expect(stdout).toBe('no conflicts\n')
    expect(code).toBe(0)
    expect(await inbox(data)).toEqual([])
  })

  it('has what is open, and filters by key, prefix, kind, replica and state', async () => {
    const data = await inConflict('listed', ['dir/a', 'dir/b 100%.txt', 'c'])
    const { stdout } = await field.tidemark(data, 'conflicts')
    expect(stdout).toMatch(/^ID +DATASET +KEY .*\n(.*\n){3}3 conflicts; look at one: /)
    const keys = async (...args: string[]) => (await inbox(data, ...args)).map(({ key }) => key)
    expect(await keys()).toHaveLength(3)
    expect(await keys('--prefix', 'dir/b 100%')).toEqual(['dir/b 100%.txt'])
    expect(await keys('--key', 'c')).toEqual(['c'])
    expect(await keys('--kind', 'update/delete')).toEqual([])
    expect(await keys('--replica', 'listed-two')).toHaveLength(3)
    expect(await keys('--replica', 'elsewhere')).toEqual([])
    expect(await keys('--only', 'resolved')).toEqual([])
    const wrong = await field.tidemark(data, 'conflicts', 'list', '--kind', 'odd')
    expect(wrong.stderr).toContain('[usage-invalid]')
    expect(wrong.code).toBe(2)
  })

  it('says which ones no run looks at, for the dataset leaves their keys out now', async () => {
    const data = await inConflict('left-out', ['kept', 'tmp/a'])
    configure(data, { 'conflict-resolution': 'manual', exclude: ['tmp/**'] })
    expect((await field.tidemark(data, 'sync', 'left-out')).code).toBe(4)
    const why = (await inbox(data)).map(({ key, why }) => [key, why])
    const leftOut = 'no run looks at it: the dataset leaves this key out now'
    const kept = 'manual: it waits for a person'
    expect(Object.fromEntries(why)).toEqual({ kept, 'tmp/a': leftOut })
    const { stdout } = await field.tidemark(data, 'conflicts')
    expect(stdout).toMatch(new RegExp(`tmp/a .*\\(${leftOut}\\)`))
    const id = (await inbox(data, '--key', 'tmp/a'))[0]?.id
    expect((await field.tidemark(data, 'conflicts', 'show', `${id}`)).stdout).toContain(leftOut)
  })
})

describe('one conflict', () => {
  it('is shown with what was agreed, each side, and how they differ', async () => {
    const data = await inConflict('shown', ['note.txt'], { history: { when: 'agreed' } })
    const [one] = await inbox(data)
    const { stdout } = await field.tidemark(data, 'conflicts', 'show', `${one?.id}`)
    expect(stdout).toContain(`conflict ${one?.id} of shown: note.txt`)
    const texts = [
      'agreed → shown-one',
      '-base of note.txt',
      '+one of note.txt',
      '+the other of note.txt',
    ]
    for (const text of texts) {
      expect(stdout).toContain(text)
    }
    const lost = await inConflict('lost', ['gone.txt'])
    const shown = await field.tidemark(lost, 'conflicts', 'show', `${(await inbox(lost))[0]?.id}`)
    expect(shown.stdout).toContain('nobody has it any more')
    expect(shown.stdout).toContain('lost-one → lost-two')
    const none = await field.tidemark(data, 'conflicts', 'show', '99999')
    expect(none.stderr).toContain('[conflict-unknown]')
  })
})

describe('resolving', () => {
  it('takes a side: everywhere that content, and nothing else is touched', async () => {
    const data = await inConflict('taken', ['a', 'b'])
    const a = (await inbox(data, '--key', 'a'))[0]
    const args = ['conflicts', 'resolve', `${a?.id}`, '--take', 'taken-two']
    const { code, stdout } = await field.tidemark(data, ...args)
    expect(stdout).toContain('takes what taken-two has')
    expect(code).toBe(0)
    expect([at(data.one, 'a'), at(data.two, 'a')]).toEqual(Array(2).fill('the other of a\n'))
    expect([at(data.one, 'b'), at(data.two, 'b')]).toEqual(['one of b\n', 'the other of b\n'])
    expect((await inbox(data)).map(({ key }) => key)).toEqual(['b'])
    const [done] = await inbox(data, '--only', 'resolved')
    expect(done).toMatchObject({
      state: 'resolved',
      resolution: { by: expect.stringMatching(/@/) },
    })
  })

  it('takes content of a person’s own', async () => {
    const data = await inConflict('written', ['a'])
    const file = join(data.one, '..', 'mine')
    writeFileSync(file, 'both of it\n')
    const [a] = await inbox(data)
    const args = ['conflicts', 'resolve', `${a?.id}`, '--content', file]
    expect((await field.tidemark(data, ...args)).code).toBe(0)
    expect([at(data.one, 'a'), at(data.two, 'a')]).toEqual(Array(2).fill('both of it\n'))
    const gone = await field.tidemark(
      data,
      'conflicts',
      'resolve',
      `${a?.id}`,
      '--content',
      'nowhere',
    )
    expect(gone.stderr).toContain('[content-unreadable]')
  })

  it('decides in bulk by a strategy, after a yes', async () => {
    const data = await inConflict('bulk', ['x/1', 'x/2', 'y'])
    const args = [
      'conflicts',
      'resolve',
      '--dataset',
      'bulk',
      '--prefix',
      'x/',
      '--strategy',
      'largest',
    ]
    const asked = await field.tidemark(data, ...args)
    expect(asked.stdout).toContain('2 conflicts to resolve:')
    expect(asked.stderr).toContain('[confirmation-needed]')
    expect(await inbox(data)).toHaveLength(3)
    expect((await field.tidemark(data, ...args, '--yes')).code).toBe(0)
    expect(at(data.one, 'x/1')).toBe('the other of x/1\n')
    expect((await inbox(data)).map(({ key }) => key)).toEqual(['y'])
  })

  it('is refused before anything is done where it can’t be', async () => {
    const data = await inConflict('refused', ['a'])
    const [a] = await inbox(data)
    const refusal = async (...args: string[]) => {
      const { stderr, code } = await field.tidemark(data, 'conflicts', 'resolve', ...args)
      return `${/\[([a-z-]+)\]/.exec(stderr)?.[1]} ${code}`
    }
    expect(await refusal(`${a?.id}`)).toBe('usage-missing-argument 2')
    expect(await refusal('--take', 'refused-one')).toBe('usage-missing-argument 2')
    const two = [`${a?.id}`, '--take', 'refused-one', '--strategy', 'largest']
    expect(await refusal(...two)).toBe('usage-invalid 2')
    expect(await refusal(`${a?.id}`, '--take', 'nobody')).toBe('conflict-no-such-side 2')
    expect(await refusal(`${a?.id}`, '--strategy', 'best')).toBe('strategy-unknown 2')
    expect(await refusal('99999', '--take', 'refused-one')).toBe('conflict-unknown 2')
    expect(await inbox(data)).toHaveLength(1)
  })

  it('is not done where the key moved on since, and says so', async () => {
    const data = await inConflict('moved', ['a'])
    const [a] = await inbox(data)
    writeFileSync(join(data.one, 'a'), 'edited once more\n')
    const args = ['conflicts', 'resolve', `${a?.id}`, '--take', 'moved-two']
    const { code, stdout } = await field.tidemark(data, ...args)
    expect(stdout).toContain('not done')
    expect(code).toBe(3)
    expect(at(data.one, 'a')).toBe('edited once more\n')
  })
})

describe('the question on a terminal', () => {
  it.for<[string, string, number, string]>([
    ['no', 'n\r', 2, 'the conflicts stay open'],
    ['nothing but Enter', '\r', 2, 'the conflicts stay open'],
    ['Ctrl-C', '\x03', 130, ''],
    ['yes', 'y\r', 0, 'decided by largest'],
  ])('%s', async ([name, keys, code, said], { skip }) => {
    if (noTerminal) skip(noTerminal)
    const data = await inConflict(`asked-${name.replaceAll(' ', '-').toLowerCase()}`, ['a', 'b'])
    const args = ['--config', data.config, '--state', field.state, 'conflicts', 'resolve']
    const filter = ['--dataset', data.name, '--strategy', 'largest']
    const found = await onTerminal([...args, ...filter], 'Resolve them so? [y/N]', keys)
    expect(found.shown).toContain(said)
    expect(found.code).toBe(code)
    expect(await inbox(data)).toHaveLength(code === 0 ? 0 : 2)
  })
})

describe('taking back', () => {
  it('opens it again with its sides, to be decided anew', async () => {
    const data = await inConflict('back', ['a'])
    const id = `${(await inbox(data))[0]?.id}`
    const both = () => [at(data.one, 'a'), at(data.two, 'a')]
    const resolve = (...args: string[]) =>
      field.tidemark(data, 'conflicts', 'resolve', id, '--take', ...args)
    const undo = () => field.tidemark(data, 'conflicts', 'undo', id)
    expect((await undo()).stderr).toContain('[conflict-not-undoable]')
    await resolve('back-one')
    const undone = await undo()
    expect(undone.stdout).toContain(`tidemark conflicts resolve ${id} --take REPLICA`)
    expect(undone.code).toBe(0)
    expect((await field.tidemark(data, 'sync', 'back')).code).toBe(4)
    expect(both()).toEqual(Array(2).fill('one of a\n'))
    expect(await inbox(data)).toMatchObject([{ id: Number(id), state: 'open', undone: true }])
    const shown = await field.tidemark(data, 'conflicts', 'show', id)
    expect(shown.stdout).toContain('taken back')
    expect(shown.stdout).toContain('+the other of a')
    expect((await resolve('back-two')).code).toBe(0)
    expect(both()).toEqual(Array(2).fill('the other of a\n'))
    expect((await field.tidemark(data, 'sync', 'back')).code).toBe(0)
    const told = await field.tidemark(data, 'conflicts', 'history', 'back', '--key', 'a')
    expect(told.stdout).toMatch(
      /conflict-resolved.*\n.*conflict-reopened .*@.*\n.*conflict-resolved/,
    )
  })

  it('decides one anew at once; over what came later only where that is said', async () => {
    const data = await inConflict('anew', ['a'])
    const id = `${(await inbox(data))[0]?.id}`
    const both = () => [at(data.one, 'a'), at(data.two, 'a')]
    const resolve = (...args: string[]) =>
      field.tidemark(data, 'conflicts', 'resolve', id, '--take', ...args)
    await resolve('anew-one')
    expect((await resolve('anew-two')).code).toBe(0)
    expect(both()).toEqual(Array(2).fill('the other of a\n'))
    writeFileSync(join(data.one, 'a'), 'came later\n')
    expect((await field.tidemark(data, 'sync', 'anew')).code).toBe(0)
    expect((await resolve('anew-one')).stderr).toContain('[conflict-overtaken]')
    expect(both()).toEqual(Array(2).fill('came later\n'))
    expect((await resolve('anew-one', '--overwrite-later')).code).toBe(0)
    expect(both()).toEqual(Array(2).fill('one of a\n'))
  })
})
