/** Official releases: an archive over HTTPS, believed only where its published SHA-256 agrees. */
import { createHash } from 'node:crypto'
import { EnvHttpProxyAgent, fetch } from 'undici'
import { memberOf } from './archive.ts'

export interface Release {
  /** The folder that holds the archive and the list of digests. */
  base: string
  archive: string
  /** Lines of `<sha256>  <file name>`, in the same folder. */
  checksums: string
}

/** A machine without access must learn that at once: it builds instead. */
const connectTimeoutMs = 5_000
const silenceTimeoutMs = 30_000

/** Origins that didn't answer: the next tool doesn't wait for them again. */
const unreachable = new Map<string, string>()

/** The program `name` out of the release. `progress` gets bytes so far and in all (0: unknown). */
export async function download(
  release: Release,
  name: string,
  progress: (done: number, total: number) => void,
): Promise<Buffer> {
  const origin = new URL(release.base).origin
  const known = unreachable.get(origin)
  if (known) throw new Error(known)
  const dispatcher = new EnvHttpProxyAgent({
    connect: { timeout: connectTimeoutMs },
    bodyTimeout: silenceTimeoutMs,
  })
  try {
    const get = (file: string, report: typeof progress) =>
      bytesOf(`${release.base}/${file}`, dispatcher, report)
    const list = await get(release.checksums, () => {}).catch((error: unknown) => {
      if (!(error instanceof AnsweredError)) unreachable.set(origin, messageOf(error))
      throw error
    })
    const wanted = digestIn(list.toString('utf8'), release.archive)
    const archive = await get(release.archive, progress)
    const digest = createHash('sha256').update(archive).digest('hex')
    if (digest !== wanted) {
      throw new Error(`${release.archive} has SHA-256 ${digest}, published is ${wanted}`)
    }
    return memberOf(archive, name)
  } finally {
    await dispatcher.destroy()
  }
}

/** The server is there and said no: another file of it may still be had. */
class AnsweredError extends Error {
  override name = 'AnsweredError'
}

async function bytesOf(
  url: string,
  dispatcher: EnvHttpProxyAgent,
  progress: (done: number, total: number) => void,
): Promise<Buffer> {
  const giveUp = new AbortController()
  const silent = () => giveUp.abort(new Error(`${url}: no answer in ${connectTimeoutMs / 1000} s`))
  // Name resolution isn't covered by the connect timeout.
  const timer = setTimeout(silent, connectTimeoutMs)
  const response = await fetch(url, { dispatcher, signal: giveUp.signal })
    .catch((error: unknown) => {
      throw new Error(`${url}: ${messageOf(error)}`, { cause: error })
    })
    .finally(() => clearTimeout(timer))
  if (!response.ok || !response.body) {
    throw new AnsweredError(`${url}: HTTP ${response.status}`)
  }
  const total = Number(response.headers.get('content-length') ?? 0)
  const chunks: Uint8Array[] = []
  let done = 0
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    chunks.push(chunk)
    done += chunk.byteLength
    progress(done, total)
  }
  return Buffer.concat(chunks)
}

function digestIn(list: string, file: string): string {
  for (const line of list.split('\n')) {
    const [digest, name] = line.trim().split(/\s+\*?/)
    if (name === file && digest && /^[0-9a-f]{64}$/.test(digest)) return digest
  }
  throw new Error(`no SHA-256 is published for ${file}`)
}

/** fetch says "fetch failed" and hides what failed in its cause. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
