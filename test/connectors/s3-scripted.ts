/** An S3 that answers as a test tells it, and the pieces of its answers. */
import { onTestFinished } from 'vitest'
import type { Connector } from '../../connectors/connector.ts'
import { create } from '../../connectors/s3.ts'
import { suiteContext } from '../conformance/suite.ts'
import type { S3Options } from './s3-world.ts'
import {
  type Answer,
  type Recorded,
  type ScriptedServer,
  scriptedServer,
} from './scripted-server.ts'

export interface Scripted extends ScriptedServer {
  connector: Connector
  /** What was asked of objects and listings: method, and what it was for. */
  asked(): string[]
}

/** Bucket `b`, prefix `p/`, parts of 64 KiB. */
export async function scripted(
  answer: (request: Recorded) => Answer | Promise<Answer>,
  given: Partial<S3Options> = {},
): Promise<Scripted> {
  const server = await scriptedServer(answer)
  const connector = await create(
    {
      ...{ type: 's3', bucket: 'b', prefix: 'p/', endpoint: server.endpoint },
      ...{ 'access-key-id': 'id', 'secret-access-key': 'secret', ...given },
    },
    suiteContext('s3'),
  )
  onTestFinished(() => connector.close())
  return { ...server, connector, asked: () => server.requests.map(nameOf) }
}

function nameOf({ method, path, query, headers }: Recorded): string {
  if (query['list-type']) return 'list'
  if (path === '/b/' || path === '/b') return `${method} bucket`
  if ('uploads' in query) return 'begin'
  if (query.partNumber) return `part ${query.partNumber}`
  if (query.uploadId) return method === 'POST' ? 'complete' : method === 'GET' ? 'parts' : 'abort'
  return headers['x-amz-copy-source'] ? 'COPY' : method
}

export const etag = '9dd4e461268c8034f5c8564e155c67a6'

export function listed(key: string, given: { etag?: string; size?: number } = {}): string {
  return (
    `<Contents><Key>${key}</Key><LastModified>2024-05-06T07:08:09.000Z</LastModified>` +
    `<ETag>&quot;${given.etag ?? etag}&quot;</ETag><Size>${given.size ?? 1}</Size></Contents>`
  )
}

export function listing(objects: string[], about = '<IsTruncated>false</IsTruncated>'): string {
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult><Name>b</Name>` +
    `<EncodingType>url</EncodingType>${about}${objects.join('')}</ListBucketResult>`
  )
}

export const more = '<IsTruncated>true</IsTruncated>'

export function refusal(status: number, code: string): Answer {
  return { status, body: `<Error><Code>${code}</Code><Message>no</Message></Error>` }
}

export function found(given: Record<string, string> = {}): Answer {
  const modified = 'Mon, 06 May 2024 07:08:09 GMT'
  return { headers: { etag: `"${etag}"`, 'last-modified': modified, ...given }, body: 'x' }
}

/** A server that takes uploads in parts; `complete` says how one ends. */
export function uploads(complete: () => Answer): (request: Recorded) => Answer {
  return (request) => {
    const name = nameOf(request)
    if (name === 'begin') return { body: '<R><UploadId>u1</UploadId></R>' }
    if (name.startsWith('part ')) return { headers: { etag: `"${etag}"` } }
    if (name === 'complete') return complete()
    return name === 'abort' ? { status: 204 } : found()
  }
}
