/** A user's module, asked in a thread of its own: it can throw, loop or eat memory, and no more. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { customHeapMiB, customInFlight, customMs } from '../src/limits.ts'
import type { CustomInput } from '../src/sync/strategies/custom.ts'
import type { Answer, CustomStrategy } from '../src/sync/strategies/verdict.ts'
import { createByteBudget } from './lanes.ts'

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
  const release = await threads.take(1)
  try {
    return await inThread(module, input, signal, limitMs)
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
      return fail('custom-no-function', 'its default export is not a function')
    }
    try {
      tell({ said: await resolve(workerData.input) })
    } catch (error) {
      fail('custom-threw', error)
    }
  },
  (error) => fail('custom-not-loaded', error),
)
`

async function inThread(
  module: string,
  input: CustomInput,
  signal: AbortSignal,
  limitMs: number,
): Promise<Answer> {
  signal.throwIfAborted()
  const worker = new Worker(threadCode, {
    eval: true,
    workerData: { module: pathToFileURL(module).href, input },
    resourceLimits: { maxOldGenerationSizeMb: customHeapMiB, maxYoungGenerationSizeMb: 16 },
    // A pure function needs nothing of ours, and what it prints isn't our output.
    ...{ env: {}, argv: [], execArgv: [], stdin: false, stdout: true, stderr: true },
  })
  worker.stdout.resume()
  worker.stderr.resume()
  let timer: NodeJS.Timeout | undefined
  let abort = () => {}
  try {
    const answer = await new Promise<Answer>((tell, fail) => {
      const late = `it took more than ${limitMs / 1000} s`
      timer = setTimeout(() => tell(failed('custom-timeout', late)), limitMs)
      abort = () => fail(signal.reason)
      signal.addEventListener('abort', abort)
      worker.once('message', tell)
      worker.once('error', (error: NodeJS.ErrnoException) => {
        const memory = error.code === 'ERR_WORKER_OUT_OF_MEMORY'
        tell(
          memory
            ? failed('custom-memory', `it took more than ${customHeapMiB} MiB`)
            : failed('custom-threw', error.message),
        )
      })
      worker.once('exit', (code) => tell(failed('custom-exited', `it ended its thread: ${code}`)))
    })
    if ('said' in answer) return answer
    const { code, message } = answer.failed
    return failed(code, `${module}: ${message.slice(0, wordsMax)}`)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
    await worker.terminate()
  }
}
