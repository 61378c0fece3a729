/**
 * A large blob in blocks: staged beside the present one, and made by one conditional commit.
 * https://learn.microsoft.com/rest/api/storageservices/put-block-list
 */
import { StoreError } from '../src/errors.ts'
import { MIB } from '../src/limits.ts'
import type { Digests, Key } from '../src/model.ts'
import type { AzureApi, AzureHeaders } from './azure-api.ts'
import type { Body, WriteOptions } from './connector.ts'
import { createDigester, digestProblem, digestsOf, partsOf } from './digests.ts'
import { elements, textOf } from './s3-xml.ts'

/** Of one blob: https://learn.microsoft.com/azure/storage/blobs/scalability-targets */
const blocksMax = 50_000
/** Blocks being sent while the next one is filled: what a large write holds of memory, in parts. */
const blocksInFlight = 3
/** Says only that blocks may be there: their names tell what is in them. */
const underWay = '{"blocks":1}'

export interface Upload {
  key: Key
  blob: string
  /** Precondition and metadata of the commit. */
  headers: Record<string, string>
  partBytes: number
  body: Body
  options: WriteOptions
}

export async function uploadInBlocks(
  api: AzureApi,
  upload: Upload,
): Promise<{ headers: AzureHeaders; digests: Digests }> {
  const { key, options } = upload
  const { session } = options
  try {
    const sent =
      session?.state === undefined ? new Map<string, number>() : await staged(api, upload)
    await session?.save(underWay)
    const { names, digests } = await stageAll(api, upload, sent)
    const problem = digestProblem(options.digests, digests)
    if (problem) throw api.failure('corrupt', problem, { operation: 'write', key })
    const headers = await commit(api, upload, names, digests)
    await session?.save(null)
    return { headers, digests }
  } catch (error) {
    // Nothing can take staged blocks away but a commit; Azure drops them after a week.
    if (error instanceof StoreError && error.code === 'changed-meanwhile') await session?.save(null)
    throw error
  }
}

/** Azure allows 50,000 blocks of up to 4,000 MiB. */
function blockBytesFor(size: number, wanted: number): number {
  return size <= wanted * blocksMax ? wanted : Math.ceil(size / blocksMax / MIB) * MIB
}

async function stageAll(
  api: AzureApi,
  upload: Upload,
  sent: Map<string, number>,
): Promise<{ names: string[]; digests: Digests }> {
  const { key, options } = upload
  const { size, digests: given } = options
  const digester = createDigester({ md5: true, sha256: !!given.sha256, crc32c: !!given.crc32c })
  const window = createWindow(blocksInFlight)
  const names: string[] = []
  let total = 0
  try {
    for await (const block of partsOf(upload.body, blockBytesFor(size, upload.partBytes))) {
      total += block.length
      if (total > size) break
      digester.update(block)
      const md5 = digestsOf(block, { md5: true, sha256: false, crc32c: false }).md5 ?? ''
      const name = nameOf(names.length, md5)
      names.push(name)
      if (sent.get(name) !== block.length) {
        await window.add(() => stage(api, upload, name, block, md5))
      }
    }
  } finally {
    // Nothing of this upload may still be moving when it is given up.
    await window.settled()
  }
  window.check()
  if (total !== size) {
    const asked = { operation: 'write', key }
    throw api.failure('corrupt', `the body does not have ${size} bytes`, asked)
  }
  return { names, digests: digester.digest() }
}

/** All of one length, as Azure wants it, and telling what is in the block: a later attempt finds
 *  its own, and one that was cut short beside its retry does no harm. */
function nameOf(index: number, md5: string): string {
  return Buffer.from(`${String(index).padStart(5, '0')}${md5}`).toString('base64')
}

async function stage(
  api: AzureApi,
  { key, blob, options }: Upload,
  name: string,
  block: Uint8Array,
  md5: string,
): Promise<void> {
  await api.call({
    operation: 'write',
    key,
    method: 'PUT',
    blob,
    query: { comp: 'block', blockid: name },
    headers: { 'content-md5': Buffer.from(md5, 'hex').toString('base64') },
    body: block,
    signal: options.signal,
  })
}

/** Blocks that earlier attempts sent: name to bytes. */
async function staged(api: AzureApi, { key, blob, options }: Upload): Promise<Map<string, number>> {
  const query = { comp: 'blocklist', blocklisttype: 'uncommitted' }
  const asked = { operation: 'write', key }
  try {
    const { text } = await api.call({
      ...asked,
      method: 'GET',
      blob,
      query,
      signal: options.signal,
    })
    const blocks = [...elements(text, 'Block')]
    return new Map(
      blocks.map((block) => [textOf(block, 'Name') ?? '', Number(textOf(block, 'Size'))]),
    )
  } catch (error) {
    if (error instanceof StoreError && error.code === 'not-found') return new Map()
    throw error
  }
}

async function commit(
  api: AzureApi,
  upload: Upload,
  names: string[],
  digests: Digests,
): Promise<AzureHeaders> {
  const list = names.map((name) => `<Uncommitted>${name}</Uncommitted>`).join('')
  const body = Buffer.from(`<?xml version="1.0" encoding="utf-8"?><BlockList>${list}</BlockList>`)
  await upload.options.beforeCommit()
  const { headers } = await api.call({
    operation: 'write',
    key: upload.key,
    method: 'PUT',
    blob: upload.blob,
    query: { comp: 'blocklist' },
    headers: {
      ...upload.headers,
      'x-ms-blob-content-md5': Buffer.from(digests.md5 ?? '', 'hex').toString('base64'),
    },
    body,
    signal: upload.options.signal,
  })
  return headers
}

/** At most `size` tasks at a time; the first failure is told by the next `add`, or by `check`. */
function createWindow(size: number) {
  const running = new Set<Promise<void>>()
  let failed: { error: unknown } | undefined
  function check(): void {
    if (failed) throw failed.error
  }
  return {
    check,
    async add(task: () => Promise<void>): Promise<void> {
      while (running.size >= size) await Promise.race(running)
      check()
      const run: Promise<void> = task()
        .catch((error: unknown) => {
          failed ??= { error }
        })
        .finally(() => running.delete(run))
      running.add(run)
    },
    async settled(): Promise<void> {
      await Promise.all(running)
    },
  }
}
