/** A user's module, asked in a thread of its own: it can throw, loop or eat memory, and no more. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { customHeapMiB, customInFlight, customMs } from '../src/limits.ts'
import type { CustomInput } from '../src/sync/strategies/custom.ts'
import type { Answer, CustomStrategy } from '../src/sync/strategies/verdict.ts'
import { createByteBudget } from './byte-budget.ts'
import { inThread } from './thread.ts'

const threads = createByteBudget(customInFlight)

const failed = (code: string, message: string): Answer => ({ failed: { code, message } })

/** What the module's function returned, whatever it is; or why it returned nothing. `limitMs`: how
 *  long it has. Throws only where `signal` aborts. */
export async function askModule(
  { module, sha256 }: Pick<CustomStrategy, 'module' | 'sha256'>,
  input: CustomInput,
  signal: AbortSignal,
  limitMs = customMs,
): Promise<Answer> {
  try {
    const digest = createHash('sha256')
      .update(await readFile(module))
      .digest('hex')
    if (digest !== sha256) {
      return failed('custom-changed', `${module} was changed since the run began: start another`)
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (!code) throw error
    return failed('custom-missing', `${module} cannot be read on this host: ${code}`)
  }
  const data = { module: pathToFileURL(module).href, input }
  const limits = { ms: limitMs, heapMiB: customHeapMiB }
  const release = await threads.take(1, signal)
  try {
    const ended = await inThread<Answer>(threadCode, data, limits, signal)
    const answer = 'said' in ended ? ended.said : ended
    if ('said' in answer) return answer
    const { code, message } = answer.failed
    return failed(`custom-${code}`, `${module}: ${message.slice(0, wordsMax)}`)
  } finally {
    release()
  }
}

/** Its own words aren't ours: the first of them are kept. */
const wordsMax = 500

/** As text, since a file beside this one has another name where it is built. */
const threadCode = `
const { parentPort, workerData } = require('node:worker_threads')
const tell = (answer) => parentPort.postMessage(answer)
const fail = (code, error) => tell({ failed: { code, message: String(error?.message ?? error) } })
import(workerData.module).then(
  async ({ default: resolve }) => {
    if (typeof resolve !== 'function') {
      return fail('no-function', 'its default export is not a function')
    }
    try {
      tell({ said: await resolve(workerData.input) })
    } catch (error) {
      fail('threw', error)
    }
  },
  (error) => fail('not-loaded', error),
)
`
