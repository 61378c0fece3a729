/** What content looks like in the vault: as it is, or compressed where that is worth it. */
import { promisify } from 'node:util'
import { constants, zstdCompress, zstdCompressSync, zstdDecompress } from 'node:zlib'
import { KIB } from '../limits.ts'

const compressAside = promisify(zstdCompress)
const decompressAside = promisify(zstdDecompress)

/** Below it a store's own overhead is more than what is spared. */
const bytesMin = 512
/** Content is judged by its first bytes: what is compressed already shows it there. */
const sampleBytes = 64 * KIB
/** What must be spared, at least: reading compressed content can't be done by the store alone. */
const ratioMax = 0.9
/** Up to here the thread pool costs more than the work. */
const asideBytes = 32 * KIB

/** null: it wouldn't help. */
export async function compressed(bytes: Uint8Array): Promise<Buffer | null> {
  if (bytes.length < bytesMin) return null
  const worthIt = (of: Uint8Array, made: Uint8Array) => made.length <= of.length * ratioMax
  const sample = bytes.subarray(0, sampleBytes)
  if (bytes.length > sampleBytes && !worthIt(sample, zstdCompressSync(sample, fast))) return null
  const made = bytes.length <= asideBytes ? zstdCompressSync(bytes) : await compressAside(bytes)
  return worthIt(bytes, made) ? made : null
}

const fast = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

/** What zstd begins with: RFC 8878, 3.1.1. */
const magic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

export function looksCompressed(first: Uint8Array): boolean {
  return magic.equals(first.subarray(0, magic.length))
}

/** Throws where it isn't what `compressed` made of `size` bytes. */
export async function decompressed(bytes: Uint8Array, size: number): Promise<Buffer> {
  return await decompressAside(bytes, { maxOutputLength: Math.max(1, size) })
}
