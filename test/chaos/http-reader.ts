/** HTTP/1.1 off a socket, message by message, with every byte as it came. */
import type { Socket } from 'node:net'

export interface Head {
  /** As it came, with the empty line behind it. */
  bytes: Buffer
  /** `PUT /bucket/key HTTP/1.1`, or `HTTP/1.1 200 OK`. */
  first: string
  /** Names in lower case. */
  headers: Map<string, string>
}

/** How a body ends. `closed`: with the connection. */
export type Length = number | 'chunked' | 'closed'

export interface Reader {
  /** null: the connection ended before another message. */
  head(): Promise<Head | null>
  /** The body's bytes, framing and all, to its end; ends early where the connection does. */
  body(length: Length): AsyncGenerator<Buffer, void>
  /** Whatever comes next, at most so many bytes; null: the end. */
  some(bytesMax: number): Promise<Buffer | null>
}

const headBytesMax = 1 << 20

export function createReader(socket: Socket): Reader {
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let left: Buffer = Buffer.alloc(0)
  let ended = false

  async function more(): Promise<boolean> {
    if (ended) return false
    const { value, done } = await chunks.next().catch(() => ({ value: undefined, done: true }))
    if (done) ended = true
    else left = left.length === 0 ? (value as Buffer) : Buffer.concat([left, value as Buffer])
    return !ended
  }

  function take(bytes: number): Buffer {
    const taken = left.subarray(0, bytes)
    left = left.subarray(bytes)
    return taken
  }

  async function through(mark: string): Promise<Buffer | null> {
    for (;;) {
      const at = left.indexOf(mark)
      if (at >= 0) return take(at + mark.length)
      if (left.length > headBytesMax || !(await more())) return null
    }
  }

  async function some(bytesMax: number): Promise<Buffer | null> {
    if (left.length === 0 && !(await more())) return null
    return take(Math.min(bytesMax, left.length))
  }

  async function* exactly(bytes: number): AsyncGenerator<Buffer, void> {
    for (let missing = bytes; missing > 0; ) {
      const piece = await some(missing)
      if (piece === null) return
      missing -= piece.length
      yield piece
    }
  }

  async function* chunked(): AsyncGenerator<Buffer, void> {
    for (;;) {
      const line = await through('\r\n')
      if (line === null) return
      yield line
      const size = Number.parseInt(line.toString('latin1'), 16)
      if (size > 0) yield* exactly(size + 2)
      else break
    }
    // Trailers, and the empty line.
    for (let line = await through('\r\n'); line !== null; line = await through('\r\n')) {
      yield line
      if (line.length === 2) return
    }
  }

  return {
    some,
    async head() {
      const bytes = await through('\r\n\r\n')
      if (bytes === null) return null
      const [first = '', ...lines] = bytes.toString('latin1').trimEnd().split('\r\n')
      const headers = new Map(
        lines.map((line) => {
          const colon = line.indexOf(':')
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
        }),
      )
      return { bytes, first, headers }
    },
    body(length) {
      if (length === 'chunked') return chunked()
      return exactly(length === 'closed' ? Number.POSITIVE_INFINITY : length)
    },
  }
}

export function requestLength({ headers }: Head): Length {
  if (headers.get('transfer-encoding') === 'chunked') return 'chunked'
  return Number(headers.get('content-length') ?? 0)
}

export const statusOf = ({ first }: Head): number => Number(first.split(' ')[1])

export const methodOf = ({ first }: Head): string => first.slice(0, first.indexOf(' '))

/** Percent-encoded, with its query. */
export const pathOf = ({ first }: Head): string => first.split(' ')[1] ?? ''

export function replyLength(request: Head, reply: Head): Length {
  const status = statusOf(reply)
  if (methodOf(request) === 'HEAD' || status < 200 || status === 204 || status === 304) return 0
  if (reply.headers.get('transfer-encoding') === 'chunked') return 'chunked'
  const length = reply.headers.get('content-length')
  return length === undefined ? 'closed' : Number(length)
}
