/** A file read up to a bound: a name that a config gives may be a device that never ends. */
import { open } from 'node:fs/promises'

/** null: it has more than `bytesMax` bytes. */
export async function readAtMost(file: string, bytesMax: number): Promise<Buffer | null> {
  const handle = await open(file)
  try {
    const bytes = Buffer.alloc(bytesMax + 1)
    let length = 0
    for (;;) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length)
      length += bytesRead
      if (length > bytesMax) return null
      if (bytesRead === 0) return bytes.subarray(0, length)
    }
  } finally {
    await handle.close()
  }
}
