/**
 * Finds or gets the programs that Tidemark starts: environment variable → PATH → `.tools/bin` of
 * the checkout → official download → `go install`, at pinned versions.
 */
import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join, sep } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT, UserError } from '../errors.ts'
import { packageRoot } from '../package-root.ts'
import { download, type Release } from './download.ts'
import { takeLock } from './process-lock.ts'

export interface Tool {
  name: string
  version: string
  /** The environment variable that names a binary of one's own. */
  variable: string
  goPackage: string
  /** The official release for Node's names of platform and architecture; null: there is none. */
  release(platform: string, arch: string): Release | null
}

/** Later tags can't be had by `go install`: their go.mod has replace directives. */
export const temporalTool: Tool = {
  name: 'temporal',
  version: '1.5.1',
  variable: 'TIDEMARK_TEMPORAL_BIN',
  goPackage: 'github.com/temporalio/cli/cmd/temporal',
  release: (platform, arch) => {
    const system = { linux: 'linux', darwin: 'darwin' }[platform]
    const cpu = goArch(arch)
    if (!system || !cpu) return null
    return {
      base: 'https://github.com/temporalio/cli/releases/download/v1.5.1',
      archive: `temporal_cli_1.5.1_${system}_${cpu}.tar.gz`,
      checksums: 'checksums.txt',
    }
  },
}

export function goArch(arch: string): 'amd64' | 'arm64' | null {
  if (arch === 'x64') return 'amd64'
  return arch === 'arm64' ? 'arm64' : null
}

export interface GetOptions {
  /** Gets lines for a person, while something is downloaded or built: at most one each 3 s. */
  report: (line: string) => void
  /** Holds `bin/`; default `.tools` of a checkout, the user's cache for an installed package. */
  folder?: string
  environment?: NodeJS.ProcessEnv
}

/** An installed package may lie where we can't write, and goes with the next `npm install`. */
function defaultFolder(environment: NodeJS.ProcessEnv): string {
  if (!packageRoot.split(sep).includes('node_modules')) return join(packageRoot, '.tools')
  return join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidemark')
}

const reportEveryMs = 3_000

/** The path of a binary that is there already, or null. Throws where the variable names nothing. */
export function findTool(tool: Tool, options: Omit<GetOptions, 'report'> = {}): string | null {
  const environment = options.environment ?? process.env
  const named = environment[tool.variable]
  if (named) {
    if (isExecutable(named)) return named
    throw new UserError('tool-missing', `${tool.variable} names no program: ${named}`, {
      where: named,
      next: `Let ${tool.variable} name a ${tool.name} binary, or unset it.`,
    })
  }
  for (const folder of (environment.PATH ?? '').split(delimiter)) {
    if (folder && isExecutable(join(folder, tool.name))) return join(folder, tool.name)
  }
  const own = join(options.folder ?? defaultFolder(environment), 'bin', tool.name)
  return isExecutable(own) && versionOf(own, environment) === tool.version ? own : null
}

/** The path of the binary, which is downloaded or built first where it's missing. */
export async function getTool(tool: Tool, options: GetOptions): Promise<string> {
  const found = findTool(tool, options)
  if (found) return found
  const folder = options.folder ?? defaultFolder(options.environment ?? process.env)
  const release = await lockTool(tool, folder, options.report)
  try {
    // Whoever held the lock may have made it.
    return findTool(tool, options) ?? (await makeTool(tool, folder, options))
  } finally {
    release()
  }
}

async function lockTool(tool: Tool, folder: string, report: (line: string) => void) {
  for (let waited = 0; ; waited++) {
    const release = takeLock(join(folder, `${tool.name}.lock`), 0)
    if (release) return release
    if (waited % 20 === 0) report(`${tool.name}: another process is getting it; waiting for that`)
    await sleep(500)
  }
}

async function makeTool(tool: Tool, folder: string, options: GetOptions): Promise<string> {
  await mkdir(join(folder, 'bin'), { recursive: true })
  const work = await mkdtemp(join(folder, `making-${tool.name}-`))
  const made = join(work, tool.name)
  try {
    const why = await tryDownload(tool, made, options.report)
    if (why !== null) await build(tool, work, why, folder, options)
    await chmod(made, 0o755)
    const target = join(folder, 'bin', tool.name)
    await rename(made, target)
    await writeFile(`${target}.version`, `${tool.version}\n`)
    options.report(`${tool.name} ${tool.version}: ready in ${target}`)
    return target
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** null: it is there now; else why not, in words. */
async function tryDownload(tool: Tool, target: string, report: (line: string) => void) {
  const release = tool.release(process.platform, process.arch)
  if (!release) return `there is no release for ${process.platform}-${process.arch}`
  report(`${tool.name} ${tool.version}: downloading ${release.base}/${release.archive}`)
  const say = throttled(report)
  try {
    const program = await download(release, tool.name, (done, total) =>
      say(() => `${tool.name}: ${mebibytes(done)} of ${total ? mebibytes(total) : '?'} MiB`),
    )
    await writeFile(target, program)
    return null
  } catch (error) {
    // Any failure of a download is answered by building; the reason is shown there.
    return error instanceof Error ? error.message : String(error)
  }
}

const mebibytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(1)

async function build(
  tool: Tool,
  work: string,
  why: string,
  folder: string,
  { report, environment = process.env }: GetOptions,
): Promise<void> {
  const wanted = `${tool.goPackage}@v${tool.version}`
  report(`${tool.name} ${tool.version}: no download (${why})`)
  report(`${tool.name} ${tool.version}: building it once: go install ${wanted}`)
  const go = spawn('go', ['install', '-v', wanted], {
    cwd: work,
    // Of its own choice only: a person's flags or workspace could pin other modules.
    env: {
      ...environment,
      GOBIN: work,
      GOFLAGS: '-buildvcs=false',
      GOWORK: 'off',
      CGO_ENABLED: '0',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const { code, tail } = await watchGo(go, tool.name, report)
  if (code === 0) return
  throw new UserError(
    'tool-missing',
    code === null
      ? `${tool.name} ${tool.version} is missing: no download (${why}), and no Go to build it with`
      : `${tool.name} ${tool.version} could not be built by Go:\n${tail}`,
    { next: waysOut(tool, folder), exit: EXIT.usage },
  )
}

function waysOut(tool: Tool, folder: string): string {
  const release = tool.release(process.platform, process.arch)
  return [
    'Do one of these, then try again:',
    '- install Go from https://go.dev/dl and put `go` on PATH;',
    release ? `- allow access to ${release.base}/${release.archive};` : null,
    `- set ${tool.variable} to the path of a ${tool.name} binary, or put one on PATH;`,
    `- put version ${tool.version} as ${join(folder, 'bin', tool.name)}, and beside it` +
      ` ${tool.name}.version with the line ${tool.version}.`,
  ]
    .filter((line) => line !== null)
    .join('\n')
}

/** `go install -v` names each module it downloads and each package it compiles. */
async function watchGo(
  go: ReturnType<typeof spawn>,
  name: string,
  report: (line: string) => void,
): Promise<{ code: number | null; tail: string }> {
  const started = performance.now()
  const lines: string[] = []
  let count = 0
  const show = () => {
    const seconds = Math.round((performance.now() - started) / 1000)
    const last = lines.at(-1) ?? 'looking up modules'
    const doing = last.startsWith('go: ') ? last.slice(4) : `compiling ${last}`
    report(`${name}: ${seconds} s, ${count} packages, ${doing}`)
  }
  const ticker = setInterval(show, reportEveryMs)
  go.stderr?.setEncoding('utf8').on('data', (text: string) => {
    for (const line of text.split('\n')) {
      if (!line.trim()) continue
      if (!line.startsWith('go: ')) count++
      lines.push(line)
      if (lines.length > 40) lines.shift()
    }
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    go.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? resolve(null) : reject(error),
    )
    go.on('close', (status) => resolve(status ?? 1))
  }).finally(() => clearInterval(ticker))
  return { code, tail: lines.join('\n') }
}

/** Calls through at most once each 3 s, and builds the line only then. */
function throttled(report: (line: string) => void): (line: () => string) => void {
  let next = performance.now() + reportEveryMs
  return (line) => {
    if (performance.now() < next) return
    next = performance.now() + reportEveryMs
    report(line())
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    // Not there or not ours to run: the next place is looked at, in both cases.
    return false
  }
}

/** From the mark beside the binary; one that was built by hand is asked through Go. */
function versionOf(binary: string, environment: NodeJS.ProcessEnv): string | null {
  const mark = `${binary}.version`
  if (existsSync(mark)) return readFileSync(mark, 'utf8').trim()
  const answer = spawnSync('go', ['version', '-m', binary], {
    encoding: 'utf8',
    env: environment,
  })
  return /^\tmod\t\S+\tv(\S+)/m.exec(answer.stdout ?? '')?.[1] ?? null
}
