/** Cron lines: what Temporal will make of them, and in words. */
import { Cron } from 'croner'
import cronstrue from 'cronstrue'

export interface ScheduleProblem {
  message: string
  next: string
}

const nicknames: Record<string, string> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
}

const ordinary = /^(\*|\d+|[a-z]{3})$/i
const fiveFields = 'Write five fields: minute, hour, day of month, month, day of week; in UTC.'

/** Why this isn't a schedule; null where it is one. */
export function scheduleProblem(text: string): ScheduleProblem | null {
  const nickname = nicknames[text.trim().toLowerCase()]
  if (nickname) return { message: `"${text}" is not five fields`, next: `Write "${nickname}".` }
  const fields = text.trim().split(/\s+/)
  if (fields.length !== 5) {
    const message = `"${text}" has ${fields.length} fields; a schedule has five`
    // Croner and many crons take a sixth for seconds, in front; Temporal takes it as the year.
    const next = fields.length > 5 ? 'Leave out seconds and years. ' : ''
    return { message, next: next + fiveFields }
  }
  // Croner knows L, W, ?, + and #; Temporal doesn't, or reads them otherwise.
  const odd = fields.flatMap((field) => field.split(/[,/-]/)).find((part) => !ordinary.test(part))
  if (odd !== undefined) {
    return {
      message: `"${text}": ${odd === '' ? 'a part is empty' : `"${odd}" is not known here`}`,
      next: 'Use numbers, names such as MON and JAN, and * , - / only.',
    }
  }
  try {
    if (open(text).nextRun()) return null
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error
    return { message: `"${text}": ${error.message.replace('CronPattern: ', '')}`, next: fiveFields }
  }
  return { message: `"${text}" never comes`, next: 'Name a day that its month has.' }
}

/** "On the hour, every 6 hours", of a schedule that `scheduleProblem` passed. */
export function scheduleInWords(text: string): string {
  return cronstrue.toString(text, { use24HourTimeFormat: true })
}

/** The next `count` times, by UTC. */
export function nextTimes(text: string, count: number, from: Date): Date[] {
  return open(text).nextRuns(count, from)
}

/** Day of month and day of week both given: cron takes either day, Temporal only days that are
 *  both. */
export function namesBothDays(text: string): boolean {
  const fields = text.trim().split(/\s+/)
  return !fields[2]?.startsWith('*') && !fields[4]?.startsWith('*')
}

function open(text: string): Cron {
  return new Cron(text.trim(), {
    mode: '5-part',
    domAndDow: true,
    paused: true,
    timezone: 'UTC',
  })
}
