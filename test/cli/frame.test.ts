/** How the process starts, tells what is wrong, and ends. */
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { commands } from '../../src/cli/commands.ts'
import { packageRoot, packageVersion } from '../../src/package-root.ts'
import { bin, folder, run, start } from './process.ts'

/** The first Node on PATH that isn't ours: on many machines an older one. */
const otherNode = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((place) => !place.startsWith(packageRoot))
  .map((place) => join(place, 'node'))
  .find((file) => existsSync(file))

/** A port that takes connections and never answers, and when the first one came. */
async function silence(): Promise<{ port: number; called: Promise<unknown> }> {
  const server = createServer((socket) => {
    // Whoever is killed in mid-call cuts it.
    socket.on('error', () => {})
  })
  const called = once(server, 'connection')
  onTestFinished(() => void server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return { port: typeof address === 'object' && address ? address.port : 0, called }
}

/** A folder whose config has a store that never answers. */
async function hanging() {
  const cwd = folder()
  const { port, called } = await silence()
  const yaml = `locations:
  a: { type: s3, bucket: x, region: us-east-1, endpoint: "http://127.0.0.1:${port}",
       access-key-id: "x", secret-access-key: "x" }
  b: { type: memory, store: b }
dataset: { name: d, source: a, destinations: [b] }
`
  writeFileSync(join(cwd, 'tidemark.yaml'), yaml)
  return { cwd, called }
}

describe('tidemark', () => {
  it('--help names every command, on standard output', async () => {
    const { code, stdout, stderr } = await run(['--help'])
    for (const name of ['init', 'validate', 'doctor', 'schema']) expect(stdout).toContain(name)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  it('--help loads no store, no schema and no Temporal', async () => {
    const hook = `import { registerHooks } from 'node:module'
      import { writeSync } from 'node:fs'
      registerHooks({ load: (url, about, next) => (writeSync(2, url + ' '), next(url, about)) })`
    const shown = `data:text/javascript,${encodeURIComponent(hook)}`
    const { stderr } = await run(['--help'], {
      command: [process.execPath, '--import', shown, bin],
    })
    expect(stderr).toContain('/commander/')
    expect(stderr).not.toMatch(/zod|yaml|croner|aws|google|azure|temporalio|node_modules.pg/)
  })

  it('--version is that of the package', async () => {
    expect((await run(['--version'])).stdout).toBe(`${packageVersion}\n`)
  })

  it('without a command shows the help on standard error, and exits with 2', async () => {
    const { code, stdout, stderr } = await run([])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('Usage: tidemark')
  })

  it.each([
    ['command', ['valdate'], 'usage-unknown-command', 'validate'],
    ['option', ['validate', '--jsn'], 'usage-unknown-option', '--json'],
    ['global option', ['--sate', 'x', 'validate'], 'usage-unknown-option', '--state'],
  ])('exits with 2 for an unknown %s, and guesses', async (_what, args, code, guess) => {
    const ended = await run(args)
    expect(ended.code).toBe(2)
    expect(ended.stderr).toContain(`error [${code}]: `)
    expect(ended.stderr).toContain(`next: Did you mean ${guess}?`)
  })

  it('exits with 2 for an argument too many, and an option without its value', async () => {
    expect(await run(['validate', 'x'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('[usage-excess-arguments]'),
    })
    expect(await run(['validate', '--config'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('[usage-missing-argument]'),
    })
  })

  it('takes the global options before and behind the command', async () => {
    const cwd = folder()
    await run(['init', '--config', 'x.yaml'], { cwd })
    expect(await run(['--config', 'x.yaml', 'validate'], { cwd })).toMatchObject({ code: 0 })
    expect(await run(['validate', '--config', 'x.yaml'], { cwd })).toMatchObject({ code: 0 })
  })

  it('no command has an option of a global one’s name, which would get its value', () => {
    const flags = commands.flatMap(({ options = [] }) => options.map(([flag]) => flag))
    expect(flags.filter((flag) => /^--(config|state|temporal|json)\b/.test(flag))).toEqual([])
  })

  it('tells a failure by code, place and next step', async () => {
    const { code, stdout, stderr } = await run(['validate'], { cwd: folder() })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toBe(
      'error [config-missing]: there is no tidemark.yaml\n' +
        '  at:   tidemark.yaml\n' +
        '  next: Write one with: tidemark init; or name yours: --config FILE\n',
    )
  })

  it('with --json tells it as one JSON object on standard error', async () => {
    const { code, stdout, stderr } = await run(['validate', '--json'], { cwd: folder() })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'config-missing',
        message: 'there is no tidemark.yaml',
        where: 'tidemark.yaml',
        next: expect.stringContaining('tidemark init'),
        exit: 2,
      },
    })
    const usage = await run(['valdate', '--json'])
    expect(JSON.parse(usage.stderr)).toMatchObject({ error: { code: 'usage-unknown-command' } })
  })

  it('shows the stack of an error that nobody expected, and exits with 1', async () => {
    const cwd = folder()
    writeFileSync(join(cwd, 'tidemark.yaml'), 'a: 1\n')
    const fault = `data:text/javascript,JSON.stringify = () => { throw new RangeError('a fault') }`
    const ended = await run(['schema'], {
      cwd,
      command: [process.execPath, '--import', fault, bin],
    })
    expect(ended).toMatchObject({ code: 1, stdout: '' })
    expect(ended.stderr).toMatch(/^error \[unexpected\]: RangeError: a fault\n {4}at /)
  })

  it('ends quietly where nobody reads on', async () => {
    const { child, ended } = start(['schema'])
    child.stdout?.destroy()
    expect(await ended).toMatchObject({ code: 0, stderr: '' })
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('exits with 130 on %s', async (signal) => {
    const { cwd, called } = await hanging()
    const { child, ended } = start(['doctor'], { cwd })
    await called
    child.kill(signal)
    expect(await ended).toMatchObject({ code: 130, signal: null, stdout: '', stderr: '' })
  })
})

describe('a second Ctrl-C', () => {
  it('ends a command at once that does not listen to the first', async () => {
    const { cwd, called } = await hanging()
    const deaf = 'data:text/javascript,AbortSignal.any = () => new AbortController().signal'
    const command: [string, ...string[]] = [process.execPath, '--import', deaf, bin]
    const { child, ended } = start(['doctor'], { cwd, command })
    await called
    child.kill('SIGINT')
    await setTimeout(500)
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ code: 130, stdout: '', stderr: '' })
  })
})

describe('under another Node', () => {
  const version = `v${process.versions.node}`

  it('runs by Node 24 all the same', async (context) => {
    if (!otherNode) return context.skip('there is no other Node on this machine')
    const show = 'data:text/javascript,console.error(process.version)'
    const ended = await run(['--version'], {
      command: [otherNode, bin],
      env: { NODE_OPTIONS: `--import "${show}"` },
    })
    expect(ended).toMatchObject({ code: 0, stdout: `${packageVersion}\n` })
    expect(ended.stderr.trim().split('\n').at(-1)).toBe(version)
  })

  it('passes the exit code on', async (context) => {
    if (!otherNode) return context.skip('there is no other Node on this machine')
    const ended = await run(['valdate'], { command: [otherNode, bin] })
    expect(ended).toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean') })
  })

  it('passes a signal on, to one process or to both', async (context) => {
    if (!otherNode) return context.skip('there is no other Node on this machine')
    for (const group of [false, true]) {
      const { cwd, called } = await hanging()
      const { child, ended } = start(['doctor', '--json'], {
        cwd,
        command: [otherNode, bin],
        group,
      })
      await called
      const pid = child.pid ?? Number.NaN
      // The group: both get it at once, as from a terminal's Ctrl-C.
      process.kill(group ? -pid : pid, 'SIGINT')
      // Told, so it stopped cleanly; a second signal would have ended it at once.
      const stderr = expect.stringContaining('"interrupted"')
      expect(await ended).toMatchObject({ code: 130, stderr })
    }
  })

  it('ends with it, however it is killed', async (context) => {
    if (!otherNode) return context.skip('there is no other Node on this machine')
    const { cwd, called } = await hanging()
    const { child, ended } = start(['doctor'], { cwd, command: [otherNode, bin] })
    await called
    child.kill('SIGKILL')
    // `close` comes when the last process that holds the pipes has ended.
    expect(await ended).toMatchObject({ signal: 'SIGKILL', stdout: '' })
  })
})

describe('npx tidemark in a checkout', () => {
  const npx = () => ({
    command: ['npx', '--offline', 'tidemark'] as [string, ...string[]],
    env: { npm_config_cache: folder(), npm_config_update_notifier: 'false' },
  })

  it('runs this bin', async () => {
    const ended = await run(['--version'], npx())
    expect(ended).toMatchObject({ code: 0, stdout: `${packageVersion}\n` })
  })

  it('ends with npx, however it is killed', async () => {
    const { cwd, called } = await hanging()
    const { child, ended } = start(
      ['--config', join(cwd, 'tidemark.yaml'), '--json', 'doctor'],
      npx(),
    )
    await called
    child.kill('SIGKILL')
    // npx leaves its shell behind, with the pipes; told, the command stops cleanly.
    expect(await ended).toMatchObject({
      signal: 'SIGKILL',
      stderr: expect.stringContaining('"interrupted"'),
    })
  })
})
