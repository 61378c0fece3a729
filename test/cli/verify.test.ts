/** `tidemark verify` as a process: its lines, its JSON, its exit codes. It needs no server. */
import { existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Finding, Verified } from '../../src/verify/verify.ts'
import { pressCtrlC } from './process.ts'
import { createField, type Dataset, type Field, fill } from './served.ts'

function twoFolders(given: Record<string, unknown> = {}): { field: Field; data: Dataset } {
  const field = createField()
  onTestFinished(() => field.remove())
  return { field, data: field.dataset('data', given) }
}

type Answer = [Verified & { dataset: string; lines: Finding[]; exit: number }]

describe('verify', () => {
  it('of equal folders exits with 0, and leaves no state behind', async () => {
    const { field, data } = twoFolders()
    for (const path of [data.one, data.two]) fill(path, 3, 10)
    const { code, stdout } = await field.tidemark(data, 'verify')
    expect(stdout).toContain('data: data-two against data-one\n')
    expect(stdout).toContain('3 keys compared, 6 objects read (60 B)')
    expect(stdout).not.toContain('file-000')
    expect(code).toBe(0)
    expect(existsSync(field.state)).toBe(false)
    expect((await field.tidemark(data, 'verify', '--all')).stdout).toContain('= file-000')
  })

  it('lists what differs by its letter, and exits with 5: in one direction too', async () => {
    const { field, data } = twoFolders({ direction: 'one-way', exclude: ['*.tmp'] })
    writeFileSync(join(data.one, 'missing'), 'x')
    writeFileSync(join(data.two, 'extra'), 'x')
    writeFileSync(join(data.one, 'other'), 'one')
    writeFileSync(join(data.two, 'other'), 'two')
    writeFileSync(join(data.one, 'out.tmp'), 'x')
    symlinkSync('nowhere', join(data.two, 'link'))
    const { code, stdout } = await field.tidemark(data, 'verify')
    expect(stdout.split('\n').filter((line) => /^[-+*!~=] /.test(line))).toEqual([
      '- extra  data-two: only here, data-one does not have it',
      expect.stringMatching(/^~ link {2}data-two: /),
      '+ missing  data-two: missing, data-one has it',
      '* other  data-two: other content',
    ])
    expect(code).toBe(5)
    const [answer] = await field.json<Answer>(data, 'verify')
    expect(answer).toMatchObject({
      dataset: 'data',
      exit: 5,
      replicas: { 'data-two': { missing: 1, extra: 1, different: 1, skipped: 1 } },
    })
    expect(answer.lines.map(({ letter, key }) => letter + key)).toEqual([
      ...['-extra', '~link', '+missing', '*other'],
    ])
  })

  it('--strict exits with 3 where something is skipped', async () => {
    const { field, data } = twoFolders()
    symlinkSync('nowhere', join(data.two, 'link'))
    expect((await field.tidemark(data, 'verify')).code).toBe(0)
    expect((await field.tidemark(data, 'verify', '--strict')).code).toBe(3)
  })

  it('of a replica that is not there exits with 6, and says why', async () => {
    const { field, data } = twoFolders()
    rmSync(data.two, { recursive: true })
    const { code, stdout } = await field.tidemark(data, 'verify')
    expect(stdout).toMatch(/data-two can't be reached: .* \[root-missing\]/)
    expect(code).toBe(6)
    const [answer] = await field.json<Answer>(data, 'verify')
    expect(answer.unreachable).toMatchObject([{ replica: 'data-two', code: 'root-missing' }])
  })

  it('--sample reads so many keys, and says what was compared by size alone', async () => {
    const { field, data } = twoFolders()
    for (const path of [data.one, data.two]) fill(path, 20, 10)
    const { code, stdout } = await field.tidemark(data, 'verify', '--sample', '5')
    expect(stdout).toContain('20 keys compared, 10 objects read')
    expect(stdout).toContain('15 comparisons by size alone')
    expect(code).toBe(0)
    for (const wrong of [
      ['--sample', '0'],
      ['--sample', 'x'],
      ['--deep', '--sample', '5'],
    ]) {
      const refused = await field.tidemark(data, 'verify', ...wrong)
      expect(refused.stderr).toContain('[usage-invalid]')
      expect(refused.code).toBe(2)
    }
  })

  it('ends at Ctrl-C', async () => {
    const { field, data } = twoFolders({ limits: { bandwidth: '10KB' } })
    for (const path of [data.one, data.two]) fill(path, 20, 40_000)
    const verifying = field.start(data, 'verify')
    let said = ''
    verifying.child.stdout?.on('data', (text: string) => {
      said += text
    })
    while (!said.includes('against')) await new Promise((wake) => setTimeout(wake, 20))
    pressCtrlC(verifying)
    expect(await verifying.ended).toMatchObject({ code: 130, stderr: '' })
  })
})
