/** A run's live progress on standard error: one line that is rewritten on a terminal. */
import { defaultPayloadConverter } from '@temporalio/common'
import { type Progress, progress as progressQuery } from '../../workflows/messages.ts'
import type { RunMode, RunRecord } from '../catalog/catalog.ts'
import type { TemporalClient } from '../temporal/connection.ts'
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
  const ask = whereabouts(session)
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
      const { phase, sending, hashed } = ask(record)
      const tellsPause = phase?.paused === true && !paused
      paused = phase?.paused ?? paused
      const moved = { sending, hashed, speed: speed(record.counts.bytes + sending) }
      const line = lineOf(record, phase, moved, performance.now() - begun)
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

interface Whereabouts {
  /** What the workflow said last of where it stands; null: nothing yet. */
  phase: Progress | null
  /** Bytes of large objects that are on their way: their counts come when they are whole. */
  sending: number
  /** Bytes that were read to be compared, as after a folder was copied to another place. */
  hashed: number
}

/** Asked in the background. */
function whereabouts({ temporal }: ServedSession): (record: RunRecord) => Whereabouts {
  const latest: Whereabouts = { phase: null, sending: 0, hashed: 0 }
  let askedAt = performance.now()
  return ({ workflowId }) => {
    if (performance.now() - askedAt > askEveryMs) {
      askedAt = performance.now()
      const { client, connection } = temporal
      const ask = <T>(call: () => Promise<T>, told: (said: T) => void) => {
        connection.withDeadline(Date.now() + 5_000, call).then(told, () => {
          // A run that ends, or whose worker is busy, says nothing: the counts are shown without.
        })
      }
      const query = () => client.workflow.getHandle(workflowId).query(progressQuery)
      ask(query, (said) => {
        latest.phase = said
      })
      ask(
        () => beatsOf(temporal, workflowId),
        (said) => Object.assign(latest, said),
      )
    }
    return latest
  }
}

type Beat = Pick<Whereabouts, 'sending' | 'hashed'>

/** The heartbeats of the run's activities and of its ranges', together. */
async function beatsOf({ client }: TemporalClient, workflowId: string): Promise<Beat> {
  const describe = async (id: string) => (await client.workflow.getHandle(id).describe()).raw
  const run = await describe(workflowId)
  const ranges = await Promise.all(
    (run.pendingChildren ?? []).map((child) => describe(child.workflowId ?? '')),
  )
  const activities = [run, ...ranges].flatMap(({ pendingActivities }) => pendingActivities ?? [])
  const beats = activities
    .flatMap(({ heartbeatDetails }) => heartbeatDetails?.payloads ?? [])
    .map((beat) => defaultPayloadConverter.fromPayload<Partial<Beat> | null>(beat))
  const sumOf = (name: keyof Beat) => beats.reduce((sum, beat) => sum + (beat?.[name] ?? 0), 0)
  return { sending: sumOf('sending'), hashed: sumOf('hashed') }
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
  { counts, dataset, mode, base }: RunRecord,
  phase: Progress | null,
  moved: Beat & { speed: number | null },
  ms: number,
): string {
  const speed = moved.speed ? `, ${bytes(Math.round(moved.speed))}/s` : ''
  const parts = base === null ? [`${count(counts.scanned, 'key')} scanned`] : []
  if (mode === 'plan') parts.push(`${count(counts.planned, 'key')} to change`)
  else parts.push(`${counts.puts.toLocaleString('en-US')} written (${bytes(counts.bytes)}${speed})`)
  if (moved.hashed > 0) parts.push(`${bytes(moved.hashed)} read to be compared`)
  if (moved.sending > 0) parts.push(`${bytes(moved.sending)} on the way`)
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
