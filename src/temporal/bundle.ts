/** The workflows' code as Temporal's sandbox takes it: one file, made by webpack in 2 to 3 s. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { packageRoot } from '../package-root.ts'

const workflows = fileURLToPath(new URL('../../workflows/', import.meta.url))
/** What the published package brings along. */
const published = join(packageRoot, 'dist', 'workflow-bundle.js')

/** For `Worker.create({workflowBundle})`: the path of the bundle, made where there is none yet. */
export async function workflowBundle(stateDir: string): Promise<{ codePath: string }> {
  const released = workflows.startsWith(join(packageRoot, 'dist'))
  if (released && existsSync(published)) return { codePath: published }
  const folder = cacheFolder(stateDir)
  const codePath = join(folder, `workflows-${sourcesDigest()}.js`)
  if (existsSync(codePath)) return { codePath }
  mkdirSync(folder, { recursive: true })
  const draft = `${codePath}.${process.pid}`
  // By a process of its own: webpack leaves its caller 150 MB larger for as long as it lives.
  await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), draft])
  renameSync(draft, codePath)
  for (const name of readdirSync(folder)) {
    const file = join(folder, name)
    if (/^workflows-[0-9a-f]+\.js$/.test(name) && file !== codePath) rmSync(file, { force: true })
  }
  return { codePath }
}

/** One for all state folders of a checkout, unless that is somebody else's to write. */
function cacheFolder(stateDir: string): string {
  const packages = join(packageRoot, 'node_modules')
  try {
    accessSync(packages, constants.W_OK)
    return join(packages, '.cache', 'tidemark')
  } catch {
    // Why doesn't matter: the state folder is ours.
    return join(stateDir, 'cache')
  }
}

/** The bundle's code. Also what a release writes to `dist/workflow-bundle.js`. */
export async function bundleWorkflows(): Promise<string> {
  const index = ['index.ts', 'index.js'].map((name) => join(workflows, name)).find(existsSync)
  if (!index) throw new Error(`no workflows in ${workflows}`)
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker')
  const { code } = await bundleWorkflowCode({
    workflowsPath: index,
    logger: new DefaultLogger('WARN'),
    // The places for stack traces, without the sources' text: a worker holds the bundle several
    // times, and was 13 MB larger by a text that nothing reads.
    webpackConfigHook: (config) => ({ ...config, devtool: 'inline-nosources-source-map' }),
  })
  return code
}

/** Of all that can be in the bundle: the workflows, what they may import, and the SDK's version. */
function sourcesDigest(): string {
  const hash = createHash('sha256')
  const core = fileURLToPath(new URL('../', import.meta.url))
  const files = [
    ...readdirSync(workflows).map((name) => join(workflows, name)),
    ...readdirSync(join(core, 'sync')).map((name) => join(core, 'sync', name)),
    ...readdirSync(core).map((name) => join(core, name)),
  ]
  for (const file of files) {
    if (/(?<!\.d)\.[jt]s$/.test(file)) hash.update(`${file}\0`).update(readFileSync(file))
  }
  const require = createRequire(import.meta.url)
  const sdk = require('@temporalio/worker/package.json') as { version: string }
  return hash.update(sdk.version).digest('hex').slice(0, 16)
}

if (import.meta.main) await writeFile(process.argv[2] as string, await bundleWorkflows())
