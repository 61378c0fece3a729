/** Work in a thread of its own: it can throw, loop or eat memory, and no more. */
import { Worker } from 'node:worker_threads'

/** Why a thread said nothing. */
export interface ThreadFailure {
  code: 'timeout' | 'memory' | 'threw' | 'exited'
  message: string
}

export interface ThreadLimits {
  ms: number
  heapMiB: number
}

/**
 * The first message of the thread that runs `code` (a file, or a script's text) with `workerData`;
 * or why there was none. It has ended when this resolves. Throws only where `signal` aborts.
 */
export async function inThread<T>(
  code: URL | string,
  workerData: unknown,
  limits: ThreadLimits,
  signal: AbortSignal,
): Promise<{ said: T } | { failed: ThreadFailure }> {
  signal.throwIfAborted()
  const worker = new Worker(code, {
    eval: typeof code === 'string',
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: limits.heapMiB, maxYoungGenerationSizeMb: 16 },
    // A pure function needs nothing of ours, and what it prints isn't our output.
    ...{ env: {}, argv: [], execArgv: [], stdin: false, stdout: true, stderr: true },
  })
  worker.stdout.resume()
  worker.stderr.resume()
  let timer: NodeJS.Timeout | undefined
  let abort = () => {}
  try {
    return await new Promise((tell, reject) => {
      const fail = (failure: ThreadFailure) => tell({ failed: failure })
      const late = `it took more than ${limits.ms / 1000} s`
      timer = setTimeout(() => fail({ code: 'timeout', message: late }), limits.ms)
      abort = () => reject(signal.reason)
      signal.addEventListener('abort', abort)
      worker.once('message', (said: T) => tell({ said }))
      worker.once('error', (error: NodeJS.ErrnoException) => {
        const isMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY'
        const large = `it took more than ${limits.heapMiB} MiB`
        fail(
          isMemory ? { code: 'memory', message: large } : { code: 'threw', message: error.message },
        )
      })
      worker.once('exit', (exit) =>
        fail({ code: 'exited', message: `it ended its thread: ${exit}` }),
      )
    })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
    await worker.terminate()
  }
}
