/** One file out of a release archive, without help from the machine's `tar` or `unzip`. */
import { gunzipSync, inflateRawSync } from 'node:zlib'

/** The content of the member whose base name is `name`, of a `.tar.gz` or a `.zip`. */
export function memberOf(archive: Buffer, name: string): Buffer {
  const gzip = archive[0] === 0x1f && archive[1] === 0x8b
  const found = gzip ? fromTar(gunzipSync(archive), name) : fromZip(archive, name)
  if (!found) throw new Error(`the archive holds no file named ${name}`)
  return found
}

function isNamed(path: string, name: string): boolean {
  return path === name || path.endsWith(`/${name}`)
}

/** POSIX ustar: 512-byte headers, name at 0 (100 bytes), octal size at 124, type at 156. */
function fromTar(tar: Buffer, name: string): Buffer | null {
  let at = 0
  while (at + 512 <= tar.length && tar[at] !== 0) {
    const text = (start: number, length: number) =>
      tar.toString('latin1', at + start, at + start + length).replace(/\0.*$/s, '')
    const size = Number.parseInt(text(124, 12), 8)
    const type = text(156, 1)
    if ((type === '0' || type === '') && isNamed(text(0, 100), name)) {
      return tar.subarray(at + 512, at + 512 + size)
    }
    at += 512 + Math.ceil(size / 512) * 512
  }
  return null
}

/** PKWARE's APPNOTE: the central directory is found from the end record (PK\5\6). */
function fromZip(zip: Buffer, name: string): Buffer | null {
  const end = zip.lastIndexOf('PK\x05\x06', undefined, 'latin1')
  if (end < 0) throw new Error('the archive is neither .tar.gz nor .zip')
  const entries = zip.readUInt16LE(end + 10)
  let at = zip.readUInt32LE(end + 16)
  for (let index = 0; index < entries; index++) {
    const method = zip.readUInt16LE(at + 10)
    const packed = zip.readUInt32LE(at + 20)
    const nameBytes = zip.readUInt16LE(at + 28)
    const local = zip.readUInt32LE(at + 42)
    if (isNamed(zip.toString('utf8', at + 46, at + 46 + nameBytes), name)) {
      const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28)
      const bytes = zip.subarray(start, start + packed)
      return method === 0 ? bytes : inflateRawSync(bytes)
    }
    at += 46 + nameBytes + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
  return null
}
