/**
 * `npm run build [-- --out DIR]`: what the published package runs, in `dist/`: JavaScript, since
 * Node strips no types below node_modules, and the workflows' bundle. `dist/` goes before the
 * sources where it is there: remove it to run the sources again.
 */
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { packageRoot } from '../src/package-root.ts'

const { values } = parseArgs({ options: { out: { type: 'string', default: 'dist' } } })
const out = resolve(packageRoot, values.out)

rmSync(out, { recursive: true, force: true })
const tsc = join(packageRoot, 'node_modules', '.bin', 'tsc')
const args = ['-p', 'tsconfig.build.json', '--outDir', out]
const { status, error } = spawnSync(tsc, args, { cwd: packageRoot, stdio: 'inherit' })
if (error) throw error
if (status !== 0) process.exit(status ?? 1)

// The emitted one, so that what is bundled is what was emitted.
const emitted = pathToFileURL(join(out, 'src', 'temporal', 'bundle.js')).href
const { bundleWorkflows } = (await import(emitted)) as typeof import('../src/temporal/bundle.ts')
writeFileSync(join(out, 'workflow-bundle.js'), await bundleWorkflows())
console.log(`built ${out}`)
