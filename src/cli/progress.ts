/** A run's live progress on standard error: one line that is rewritten on a terminal. */
import { type Progress, progress as progressQuery } from '../../workflows/messages.ts'
import type { RunMode, RunRecord } from '../catalog/catalog.ts'
import type { CommandContext } from './command.ts'
import { bytes, count, duration } from './output.ts'
import type { ServedSession } from './serve.ts'

export interface ProgressView {
  show(record: RunRecord): Promise<void>
  end(): void
}

/** Where standard error is no terminal, a line every so often (ms). */
const plainEveryMs = 5_000
/** The workflow is asked for its phase so often (ms): each time costs its worker a task. */
const askEveryMs = 1_000

export function showProgress(
  { json, output: { stderr } }: CommandContext,
  session: ServedSession,
  dataset: string,
): ProgressView {
  const begun = performance.now()
  const ask = phaseOf(session)
  const speed = createSpeed()
  let shown = ''
  let printedAt = begun
  let paused = false
  let announced = false

  function announce(record: RunRecord): void {
    announced = true
    const path = `${encodeURIComponent(record.workflowId)}/${record.temporalRunId ?? ''}`
    const { server } = session
    const ui = server ? `  ${server.ui}/namespaces/default/workflows/${path}` : ''
    stderr.write(`run ${record.run} of ${dataset}${ui}\n`)
  }

  return {
    async show(record) {
      if (json || record.state !== 'running') return
      if (!announced) announce(record)
      const phase = ask(record)
      const tellsPause = phase?.paused === true && !paused
      paused = phase?.paused ?? paused
      const line = lineOf(record, phase, speed(record.counts.bytes), performance.now() - begun)
      if (stderr.isTTY) {
        stderr.write(`\r\x1b[K${line.slice(0, (stderr.columns || 100) - 1)}`)
        shown = line
      } else if (tellsPause || (performance.now() - printedAt > plainEveryMs && line !== shown)) {
        printedAt = performance.now()
        shown = line
        stderr.write(`${line}\n`)
      }
    },
    end() {
      if (!json && stderr.isTTY && shown !== '') stderr.write('\r\x1b[K')
    },
  }
}

/** What the workflow said last of where it stands; asked in the background. */
function phaseOf({ temporal }: ServedSession): (record: RunRecord) => Progress | null {
  let latest: Progress | null = null
  let askedAt = performance.now()
  return ({ workflowId }) => {
    if (performance.now() - askedAt > askEveryMs) {
      askedAt = performance.now()
      const { client, connection } = temporal
      const query = () => client.workflow.getHandle(workflowId).query(progressQuery)
      connection.withDeadline(Date.now() + 5_000, query).then(
        (said) => {
          latest = said
        },
        () => {
          // A run that ends, or whose worker is busy, says nothing: the counts are shown without.
        },
      )
    }
    return latest
  }
}

/** Bytes a second over the last few seconds; null: too early to say. */
function createSpeed(): (bytes: number) => number | null {
  const samples: { at: number; bytes: number }[] = []
  return (now) => {
    const at = performance.now()
    const last = samples.at(-1)
    if (!last || at - last.at >= 500) samples.push({ at, bytes: now })
    while (samples.length > 10) samples.shift()
    const [first] = samples
    if (!first || at - first.at < 1_000) return null
    return Math.max(0, ((now - first.bytes) / (at - first.at)) * 1_000)
  }
}

function lineOf(
  { counts, dataset, mode }: RunRecord,
  phase: Progress | null,
  bytesPerSecond: number | null,
  ms: number,
): string {
  const speed = bytesPerSecond ? `, ${bytes(Math.round(bytesPerSecond))}/s` : ''
  const parts = [`${count(counts.scanned, 'key')} scanned`]
  if (mode === 'plan') parts.push(`${count(counts.planned, 'key')} to change`)
  else parts.push(`${counts.puts.toLocaleString('en-US')} written (${bytes(counts.bytes)}${speed})`)
  if (counts.deletes > 0) parts.push(`${counts.deletes.toLocaleString('en-US')} deleted`)
  if (counts.failed > 0) parts.push(`${counts.failed.toLocaleString('en-US')} failed`)
  const what = phase?.paused ? `paused (tidemark resume ${dataset})` : wordsOf(phase, mode)
  return `  ${what}: ${parts.join(', ')} · ${duration(ms)}`
}

function wordsOf(phase: Progress | null, mode: RunMode): string {
  switch (phase?.phase) {
    case 'preparing':
      return 'looking at the replicas'
    case 'deletes':
      return 'deletes and what waited for them'
    case 'finishing':
    case 'ended':
      return 'finishing'
    default:
      return mode === 'plan' ? 'planning' : 'syncing'
  }
}
