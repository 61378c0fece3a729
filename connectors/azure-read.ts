/** Pinned reads: https://learn.microsoft.com/rest/api/storageservices/get-blob */
import type { Entry, Token } from '../src/model.ts'
import type { AzureApi, AzureReply, AzureRequest } from './azure-api.ts'
import { entryIn, isFolder } from './azure-metadata.ts'
import type { ReadResult } from './connector.ts'
import { createDigester, digestProblem } from './digests.ts'
import { passing } from './reply-body.ts'

type Range = { start: number; end: number }
type Read = Omit<AzureRequest, 'method'>

export async function readBlob(
  api: AzureApi,
  request: Read,
  token: Token,
  range: Range | undefined,
  partBytes: number,
): Promise<ReadResult> {
  // No range of HTTP is empty.
  const isEmpty = range !== undefined && range.end <= range.start
  const reply = await api.open({
    ...request,
    method: isEmpty ? 'HEAD' : 'GET',
    headers: {
      'if-match': `"${token.id}"`,
      ...(range && !isEmpty && { range: `bytes=${range.start}-${range.end - 1}` }),
    },
  })
  const entry = entryIn(request.key ?? '', reply.headers)
  const isBlob = entry && !isFolder(entry.metadata ?? {}) && entry.token.id === token.id
  if (isBlob) return { entry, body: bytesOf(api, request, entry, range, reply, partBytes) }
  reply.body.on('error', () => {}).destroy()
  if (!entry) throw api.failure('unavailable', 'the reply is not of a blob', request)
  throw api.failure('changed-meanwhile', `the blob is at ${entry.token.id}`, request)
}

/**
 * What a service does with a reply under way when its blob is overwritten is nowhere written. So
 * what ends well is proven: a small one by its md5, else by the ETag, which is looked at again.
 */
async function* bytesOf(
  api: AzureApi,
  request: Read,
  entry: Entry,
  range: Range | undefined,
  reply: AzureReply,
  partBytes: number,
): AsyncGenerator<Uint8Array, void> {
  const wanted = range ? Math.max(0, range.end - range.start) : entry.size
  const { md5 } = entry.digests
  const byDigest = md5 !== undefined && wanted === entry.size && wanted <= partBytes
  const digester = createDigester({ md5: byDigest, sha256: false, crc32c: false })
  yield* passing(api, request, reply.body, wanted, digester)
  const problem = byDigest ? digestProblem({ md5 }, digester.digest()) : null
  if (byDigest && problem === null) return
  const headers = { 'if-match': `"${entry.token.id}"` }
  await api.call({ ...request, method: 'HEAD', headers })
  if (problem) throw api.failure('corrupt', problem, request)
}
