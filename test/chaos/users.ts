/** Users at real stores: they play the simulation's operations by the stores' own means. */
import { digestsOf } from '../../connectors/digests.ts'
import type { Content, Key } from '../../src/model.ts'
import { bytesOf, type Operation, sha256Of } from '../simulation/operations.ts'
import type { Replica } from './places.ts'

/** What a user did to one key at one replica. */
export interface Deed {
  replica: number
  key: Key
  /** null: removed. */
  sha256: string | null
  /** performance.now() when it was done. */
  at: number
}

export interface Book {
  deeds: Deed[]
  /** By sha256: every content that a user ever wrote. */
  written: Map<string, Content>
  /** Operations by their kind. */
  counts: Record<string, number>
}

export interface Users {
  book: Book
  play(operation: Operation): Promise<void>
}

/** As a store's own tools would say it; named, so that equal contents are equal everywhere. */
const contentType = 'application/octet-stream'

/** `removable`: what goes where somebody removes everything; default: all keys. */
export function usersOf(replicas: Replica[], removable = (_: Key) => true): Users {
  const book: Book = { deeds: [], written: new Map(), counts: {} }

  function note(replica: number, key: Key, bytes: Buffer | null): void {
    const sha256 = bytes === null ? null : sha256Of(bytes)
    if (bytes !== null && sha256 !== null && !book.written.has(sha256)) {
      book.written.set(sha256, { size: bytes.length, digests: digestsOf(bytes) })
    }
    book.deeds.push({ replica, key, sha256, at: performance.now() })
  }

  async function put(at: number, key: Key, bytes: Buffer, type = contentType): Promise<void> {
    const { place } = replicas[at] as Replica
    await place.put(key, bytes, { contentType: type })
    note(at, key, bytes)
  }

  /** Nothing happens where it isn't there. */
  async function remove(at: number, key: Key): Promise<void> {
    const { place } = replicas[at] as Replica
    if ((await read(at, key)) === null) return
    if (await happens(() => place.remove(key))) note(at, key, null)
  }

  async function read(at: number, key: Key): Promise<Buffer | null> {
    let bytes: Buffer | null = null
    await happens(async () => {
      bytes = (await (replicas[at] as Replica).place.get(key)).bytes
    })
    return bytes
  }

  async function renamed(at: number, from: Key, to: Key): Promise<void> {
    const replica = replicas[at] as Replica
    const bytes = await read(at, from)
    if (bytes === null || from === to) return
    if (!replica.rename) {
      await put(at, to, bytes)
      await remove(at, from)
    } else if (await happens(() => (replica.rename as NonNullable<Replica['rename']>)(from, to))) {
      // What was renamed is what lies there now: it may have been written since it was read.
      note(at, to, (await read(at, to)) ?? bytes)
      note(at, from, null)
    }
  }

  async function playAt(operation: Operation, at: number): Promise<void> {
    switch (operation.do) {
      case 'put':
        return await put(at, operation.key, bytesOf(operation.text), operation.contentType)
      case 'remove':
        return await remove(at, operation.key)
      case 'rename':
        return await renamed(at, operation.key, operation.to)
      case 'touch': {
        const bytes = await read(at, operation.key)
        return bytes === null ? undefined : await put(at, operation.key, bytes)
      }
      case 'remove-all':
        for (const key of await (replicas[at] as Replica).place.keys()) {
          if (removable(key)) await remove(at, key)
        }
    }
  }

  return {
    book,
    async play(operation) {
      const name = operation.do === 'put' ? operation.why : operation.do
      book.counts[name] = (book.counts[name] ?? 0) + 1
      const places = Array.isArray(operation.at) ? operation.at : [operation.at]
      for (const at of places) {
        await (replicas[at] as Replica).alone(() => playAt(operation, at))
      }
    },
  }
}

/** false: it isn't there, as the store's own client says it. */
async function happens(work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    const { code, statusCode, $metadata } = error as {
      code?: string | number
      statusCode?: number
      $metadata?: { httpStatusCode?: number }
    }
    if ([code, statusCode, $metadata?.httpStatusCode].some((one) => one === 404)) return false
    if (code === 'ENOENT' || code === 'ENOTDIR') return false
    throw error
  }
}
