/**
 * A set of contents in bounded memory, which may take one for another: what is in it is always
 * found; of what isn't, a few in a thousand seem to be (with 10 million in it, 1 in 300). For a
 * collection that is the right error: it keeps too much, by other chance the next time.
 */
import { randomInt } from 'node:crypto'
import type { Content } from '../model.ts'

export interface Marks {
  add(content: Content): void
  /** By any digest of it. */
  has(content: Content): boolean
}

/** 64 MiB; pages of it are taken from the system as they are used. */
const bits = 2 ** 29
const shift = 32 - Math.log2(bits)

export function createMarks(): Marks {
  const field = new Uint32Array(bits / 32)
  // Odd, so that no two words become one.
  const salt = randomInt(2 ** 30) * 2 + 1
  /** Four places from the digest's first 128 bits, which are as good as any hash of it. */
  const places = (hex: string) =>
    [0, 8, 16, 24].map((at) => {
      const word = Number.parseInt(hex.slice(at, at + 8), 16)
      return Math.imul(word, salt) >>> shift
    })
  const isSet = (place: number) => ((field[place >>> 5] as number) & (1 << (place & 31))) !== 0
  /** Contents of which nothing better is known are few, and a crc32c is too short for places. */
  const weak = new Set<string>()
  const weakName = ({ size, digests }: Content) => `${digests.crc32c}-${size}`

  return {
    add(content) {
      const { sha256, md5 } = content.digests
      const strong = [sha256, md5].filter((hex) => hex !== undefined)
      for (const place of strong.flatMap(places)) {
        field[place >>> 5] = (field[place >>> 5] as number) | (1 << (place & 31))
      }
      if (strong.length === 0) weak.add(weakName(content))
    },
    has(content) {
      const { sha256, md5, crc32c } = content.digests
      if ([sha256, md5].some((hex) => hex !== undefined && places(hex).every(isSet))) return true
      return crc32c !== undefined && weak.has(weakName(content))
    },
  }
}
