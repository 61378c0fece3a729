/** The bytes of GCS objects on their way in and out. */
import type { Entry } from '../src/model.ts'
import { createDigester, digestProblem } from './digests.ts'
import type { GcsApi, GcsReply, GcsRequest } from './gcs-api.ts'
import { passing } from './reply-body.ts'

/** Counts, and checks the whole against the crc32c that the object has. */
export async function* bytesOf(
  api: GcsApi,
  entry: Entry,
  range: { start: number; end: number } | undefined,
  reply: GcsReply,
  request: GcsRequest,
): AsyncGenerator<Uint8Array, void> {
  const wanted = range ? range.end - range.start : entry.size
  const whole = wanted === entry.size && entry.digests.crc32c !== undefined
  const digester = createDigester({ sha256: false, md5: false, crc32c: whole })
  yield* passing(api, request, reply.body, wanted, digester)
  const { crc32c } = entry.digests
  const problem = digestProblem(crc32c ? { crc32c } : {}, digester.digest())
  if (problem) throw api.failure('corrupt', problem, request)
}

export async function* nothing(): AsyncGenerator<Uint8Array, void> {}

/** https://cloud.google.com/storage/docs/uploading-objects#rest-upload-objects */
export function multipartOf(resource: { contentType?: string }, bytes: Uint8Array) {
  const boundary = `tidemark-${crypto.randomUUID()}`
  const head =
    `--${boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n` +
    `${JSON.stringify(resource)}\r\n--${boundary}\r\ncontent-type: ${resource.contentType}\r\n\r\n`
  return {
    headers: { 'content-type': `multipart/related; boundary=${boundary}` },
    body: Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--`)]),
  }
}
