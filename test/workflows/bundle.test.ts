/** What goes into the workflows' sandbox: found by Temporal's own bundler, and nothing that acts.
 * */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker'
import { expect, onTestFinished, test } from 'vitest'
import * as workflows from '../../workflows/index.ts'
import { workflowBundle } from './temporal.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Our own modules in the bundle, as webpack names them. */
function ours(code: string): string[] {
  const found = [...code.matchAll(/^\/\*\*\*\/ "\.\/([^"]+)"/gm)].map(([, path]) => path as string)
  return found.filter((path) => !path.includes('node_modules')).toSorted()
}

test('the workflows bundle, with nothing of ours but themselves, the bounds and the nouns', async () => {
  const { code } = await workflowBundle()
  const modules = ours(code)
  expect(modules).toContain('workflows/sync-dataset.ts')
  const allowed = /^(workflows\/[a-z-]+\.ts|src\/(limits|model|errors)\.ts)$/
  expect(modules.filter((path) => !allowed.test(path))).toEqual([])
})

test('no schema library, no store’s SDK and no Node module is in it', async () => {
  const { code } = await workflowBundle()
  const packages = new Set(
    [...code.matchAll(/node_modules\/((?:@[^/"]+\/)?[^/"]+)\//g)].map(([, name]) => name),
  )
  const known = /^(@temporalio\/(common|workflow)|nexus-rpc|long|ms)$/
  expect([...packages].filter((name) => !known.test(name ?? ''))).toEqual([])
  // 0.3 MiB of memory for each cached workflow: with zod it was three times as much.
  expect(code.replace(/\/\/# sourceMappingURL=.*/s, '').length).toBeLessThan(1.5 * 1024 * 1024)
})

test('it has the workflows that clients start, by their names', async () => {
  expect(Object.keys(workflows).toSorted()).toEqual(['scheduledSync', 'syncDataset', 'syncRange'])
})

test.each([
  ['a Node module', `import { readFileSync } from 'node:fs'\nexport const made = readFileSync`],
  ['an activity itself', `export { createActivities } from '../../activities/index.ts'`],
])('%s in a workflow is refused by the bundler', async (_, text) => {
  // Beside the workflows, so that its imports are found as theirs are.
  mkdirSync(join(root, '.tools'), { recursive: true })
  const folder = mkdtempSync(join(root, '.tools', 'refused-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'index.ts')
  writeFileSync(file, `${text}\n`)
  const logger = new DefaultLogger('ERROR', () => undefined)
  await expect(bundleWorkflowCode({ workflowsPath: file, logger })).rejects.toThrow()
})
