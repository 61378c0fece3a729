/** PutObject: a body that fits into one request, held whole. */
import type { Digests, Token } from '../src/model.ts'
import type { Body, WriteOptions } from './connector.ts'
import { asBuffer, digestProblem, digestsOf, partsOf } from './digests.ts'
import { s3CodeOf } from './s3-errors.ts'
import { hexToBase64, one } from './s3-metadata.ts'
import { type AskedOf, conditionsOf, type Store, type Written } from './s3-store.ts'
import { bareEtag } from './s3-xml.ts'

/** The body as one buffer of exactly `size` bytes, else `corrupt`. */
export async function wholeOf(
  store: Store,
  asked: AskedOf,
  body: Body,
  size: number,
): Promise<Buffer> {
  const parts = body instanceof Uint8Array ? [asBuffer(body)] : partsOf(body, size + 1)
  let whole: Buffer | undefined
  // One byte more than it should have is a part too long, or a second one.
  for await (const part of parts) {
    if (whole) throw store.fail(asked, 'corrupt', `the body has more than ${size} bytes`)
    whole = part
  }
  whole ??= Buffer.alloc(0)
  if (whole.length !== size) {
    throw store.fail(asked, 'corrupt', `the body has ${whole.length} bytes, not ${size}`)
  }
  return whole
}

/** One PutObject. The store checks sha256 (it is in the signature) and md5 of what arrives. */
export async function putWhole(
  store: Store,
  asked: AskedOf,
  body: Buffer,
  expected: Token | null,
  headers: Record<string, string>,
  options: Pick<WriteOptions, 'digests' | 'beforeCommit'>,
): Promise<Written> {
  const { sha256, md5 } = options.digests
  const own = digestsOf(body, { sha256: !sha256, md5: !md5, crc32c: true })
  const problem = digestProblem(options.digests, own)
  if (problem) throw store.fail(asked, 'corrupt', problem)
  const digests = { ...own, ...options.digests } as Required<Digests>
  const request = {
    ...asked,
    method: 'PUT' as const,
    object: store.object(asked.key),
    headers: {
      ...headers,
      ...(store.provider.conditionalWrite && conditionsOf(expected)),
      'content-md5': hexToBase64(digests.md5),
      ...(store.provider.checksums && { 'x-amz-checksum-sha256': hexToBase64(digests.sha256) }),
    },
    body,
    sha256: digests.sha256,
  }
  await options.beforeCommit()
  const reply = await store.client.call(request).catch(async (error: unknown) => {
    // Two conditional writes met, and S3 asks for another try: the condition decides that one.
    if (s3CodeOf(error) !== 'ConditionalRequestConflict') throw error
    await options.beforeCommit()
    return store.client.call(request)
  })
  const etag = bareEtag(one(reply.headers.etag) ?? '')
  if (!etag) throw store.fail(asked, 'unavailable', 'the reply has no ETag: is this S3?')
  store.etags.heed(reply.headers)
  store.etags.compare(etag, digests.md5)
  // LastModified isn't told: the reply's own time is within tokenAtToleranceMs of it.
  const at = Date.parse(one(reply.headers.date) ?? '')
  return { etag, at: Number.isNaN(at) ? undefined : at, digests }
}
