/** Amounts as people write them: `5m`, `90d`, `16MiB`; and what they are in ms and bytes. */
import { z } from 'zod'

const durations = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const durationForm = /^(\d+(?:\.\d+)?)(s|m|h|d)$/

/** Text that `durationMs` takes. */
export const duration = z
  .string()
  .regex(durationForm, { error: 'expected a duration, as 30s, 5m, 24h or 90d' })

/** ms, of what `duration` passed. */
export function durationMs(text: string): number {
  const [, amount = '', unit = 's'] = durationForm.exec(text) ?? []
  return Math.round(Number(amount) * durations[unit as keyof typeof durations])
}

const byteUnits = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}
const sizeForm = /^(\d+(?:\.\d+)?) ?(B|kB|KB|MB|GB|KiB|MiB|GiB)(?:\/s)?$/

function bytes(error: string) {
  return z.union([z.int().min(1), z.string().regex(sizeForm, { error })], { error })
}

/** Text or a number that `bytesOf` takes. */
export const bandwidth = bytes('expected bytes in a second, as 10MiB/s or 1048576')
export const byteSize = bytes('expected bytes, as 16MiB or 1048576')

/** Bytes, at least 1, of what `bandwidth` or `byteSize` passed. */
export function bytesOf(text: string | number): number {
  if (typeof text === 'number') return text
  const [, amount = '', unit = 'B'] = sizeForm.exec(text) ?? []
  return Math.max(1, Math.round(Number(amount) * byteUnits[unit as keyof typeof byteUnits]))
}
