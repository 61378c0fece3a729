/** Moments as people write them. One that means something else elsewhere is refused. */
import { durationMs } from '../../config/units.ts'
import { UserError } from '../../errors.ts'
import { time } from '../output.ts'

const short = /-(\d+(?:\.\d+)?[smhd])/.source
const words = /(\d+(?:\.\d+)?) ?([smhd]|sec(?:ond)?s?|min(?:ute)?s?|hours?|days?) ago/.source
const relative = new RegExp(`^(?:${short}|${words})$`)
/** As ISO 8601 and we write it: the zone is never left out. */
const absolute =
  /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|[+-]\d\d(?::?\d\d)?)?$/i

/** ms since the epoch: `2026-01-31T09:05Z`, `2026-01-31 09:05+02:00`, `2h ago`, `-2h`. */
export function parseMoment(text: string, now: number): number {
  const back = backOf(text.trim())
  const at = back === null ? absoluteOf(text.trim(), now) : now - back
  if (at <= now) return at
  throw new UserError('time-in-future', `${time(at)} is still to come`, {
    next: `Now it is ${time(now)}.`,
  })
}

/** ms; null: it isn't relative. */
function backOf(text: string): number | null {
  const [, brief, amount, unit] = relative.exec(text) ?? []
  if (brief !== undefined) return durationMs(brief)
  return amount === undefined ? null : durationMs(`${amount}${unit?.[0]}`)
}

function absoluteOf(text: string, now: number): number {
  const [, day, clock, zone] = absolute.exec(text) ?? []
  if (day === undefined || clock === undefined) {
    throw new UserError('time-invalid', `"${text}" is not a time`, {
      next: 'Write 2026-01-31T09:05Z, 2026-01-31T09:05+02:00, "2h ago" or -2h.',
    })
  }
  if (zone === undefined) {
    const offset = offsetOf(new Date(`${day}T${clock}`).getTime() || now)
    const written = `${day}T${clock}`
    throw new UserError('time-without-zone', `"${text}" says no zone`, {
      next: `Write ${written}Z for UTC; by this machine's clock it is ${written}${offset}.`,
    })
  }
  const at = Date.parse(`${day}T${clock}${isoZone(zone)}`)
  // The 30th of February would be taken for one of March.
  const exists = new Date(`${day}T00:00Z`).toJSON()?.startsWith(day)
  if (!Number.isNaN(at) && exists) return at
  throw new UserError('time-invalid', `there is no "${text}" in the calendar`, {})
}

function isoZone(zone: string): string {
  if (/z/i.test(zone)) return 'Z'
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0')
  return `${zone[0]}${digits.slice(0, 2)}:${digits.slice(2)}`
}

/** This machine's, then: `+02:00`. */
function offsetOf(at: number): string {
  const minutes = -new Date(at).getTimezoneOffset()
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0')
  const size = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${two(size / 60)}:${two(size % 60)}`
}
