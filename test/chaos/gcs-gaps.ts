/**
 * What fake-gcs-server doesn't do as GCS does, done by the proxy in front of it: a delete's
 * condition is enforced, and a question about an upload, which the emulator takes for its end, is
 * answered as for a session that was forgotten. Else the emulator's losses would count as ours.
 */
import type { Before } from './fault-proxy.ts'
import { type Head, methodOf, pathOf } from './http-reader.ts'

export interface GcsGaps {
  before(request: Head): Promise<Before>
  /** Who writes there directly goes through this: no delete is between its look and its deed. */
  alone<T>(work: () => Promise<T>): Promise<T>
}

export function gcsGaps(endpoint: string): GcsGaps {
  let turn: Promise<void> = Promise.resolve()

  function enter(): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const before = turn
    turn = promise
    return before.then(() => resolve)
  }

  return {
    async alone(work) {
      const leave = await enter()
      try {
        return await work()
      } finally {
        leave()
      }
    },
    async before(request) {
      const method = methodOf(request)
      if (method === 'PUT' && request.headers.get('content-range')?.startsWith('bytes */')) {
        return { reply: errorReply(404, 'notFound') }
      }
      if (method !== 'DELETE') return {}
      const url = new URL(pathOf(request), endpoint)
      const wanted = ['generation', 'metageneration'].flatMap((name) => {
        const value = url.searchParams.get(`if${name[0]?.toUpperCase()}${name.slice(1)}Match`)
        return value === null ? [] : [{ name, value }]
      })
      if (wanted.length === 0) return {}
      const leave = await enter()
      const reply = await fetch(`${url.origin}${url.pathname}`)
      const now = (await reply.json()) as Record<string, unknown>
      const same = wanted.every(({ name, value }) => String(now[name]) === value)
      return {
        ...(reply.ok && !same && { reply: errorReply(412, 'conditionNotMet') }),
        after: leave,
      }
    },
  }
}

function errorReply(code: number, reason: string): Buffer {
  const body = JSON.stringify({ error: { code, message: reason, errors: [{ reason }] } })
  return Buffer.from(
    `HTTP/1.1 ${code} Of the proxy\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
