/** Multipart uploads that nobody goes on with: their parts are dropped, the late ones too. */
import { setTimeout as sleep } from 'node:timers/promises'
import { StoreError } from '../src/errors.ts'
import { s3CodeOf } from './s3-errors.ts'
import type { AskedOf, Store } from './s3-store.ts'

/** How long a part that was cut off may take to land inside the store before we look again, ms. */
const lateMs = 250
const triesMax = 4
/** What an abort is answered that meets a part landing. */
const inTheWay = ['InternalError', 'OperationAborted']

/** Drops an upload of which no part is on its way; one that isn't there is dropped already. */
export function abortUpload(store: Store, asked: AskedOf, uploadId: string): Promise<boolean> {
  return unlessGone(() => request(store, asked, 'DELETE', { uploadId }))
}

/**
 * Drops an upload whose parts may have been cut off on their way: one that the store had whole
 * lands all the same, and outlives the abort, or fails it. So it is aborted until the store knows
 * it no more; a store that can't be reached isn't asked again. Throws `unavailable` where it stays.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
 */
export async function dropUpload(store: Store, asked: AskedOf, uploadId: string): Promise<void> {
  let left: StoreError | undefined
  for (let tries = 0; tries < triesMax; tries++) {
    try {
      if (!(await abortUpload(store, asked, uploadId))) return
      await sleep(lateMs * 2 ** tries)
      const query = { uploadId, 'max-parts': '1' }
      if (!(await unlessGone(() => request(store, asked, 'GET', query)))) return
      left = store.fail(asked, 'unavailable', `its upload ${uploadId} outlives every abort`)
    } catch (error) {
      if (!(error instanceof StoreError) || !inTheWay.includes(s3CodeOf(error))) throw error
      left = error
      await sleep(lateMs * 2 ** tries)
    }
  }
  throw left
}

type Query = Record<string, string>

function request(store: Store, asked: AskedOf, method: 'DELETE' | 'GET', query: Query) {
  return store.client.call({ ...asked, method, object: store.object(asked.key), query })
}

/** False: the store knows no such upload. */
async function unlessGone(call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call()
    return true
  } catch (error) {
    if (s3CodeOf(error) === 'NoSuchUpload') return false
    throw error
  }
}
