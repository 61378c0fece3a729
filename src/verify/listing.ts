/** A replica's whole listing, taken up again where it broke off; given up, the replica is lost. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connector, Page } from '../../connectors/connector.ts'
import { RETRIED, StoreError } from '../errors.ts'
import { listTriesMax } from '../limits.ts'

const everything = { from: null, to: null }

/**
 * Where it is lost the listing just ends, so that the others go on: whoever reads it must ask
 * before taking a key for absent.
 */
export async function* wholeListing(
  connector: Connector,
  signal: AbortSignal,
  lose: (error: StoreError) => void,
): AsyncGenerator<Page, void> {
  let resume: string | undefined
  for (let tries = 1; ; tries++) {
    try {
      for await (const page of connector.list(everything, resume, { signal })) {
        resume = page.resume
        tries = 1
        yield page
      }
      return
    } catch (error) {
      if (signal.aborted || !(error instanceof StoreError)) throw error
      if (!RETRIED[error.code] || tries >= listTriesMax) return lose(error)
      await sleep(250 * tries, undefined, { signal })
    }
  }
}
