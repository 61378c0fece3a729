/** A run's live progress on standard error: one line that is rewritten on a terminal. */
import type { RunRecord } from '../catalog/catalog.ts'
import type { CommandContext } from './command.ts'
import { bytes, count, duration } from './output.ts'
import type { ServedSession } from './session.ts'

export interface ProgressView {
  show(record: RunRecord): Promise<void>
  end(): void
}

/** Where standard error is no terminal, a line every so often (ms). */
const plainEveryMs = 5_000

export function showProgress(
  { json }: CommandContext,
  { server }: ServedSession,
  dataset: string,
): ProgressView {
  const begun = performance.now()
  let shown = ''
  let printedAt = begun
  let announced = false

  function announce(record: RunRecord): void {
    announced = true
    const ui = server ? `  ${server.ui}/namespaces/default/workflows/${workflowPath(record)}` : ''
    process.stderr.write(`run ${record.run} of ${dataset}${ui}\n`)
  }

  return {
    async show(record) {
      if (json || record.state !== 'running') return
      if (!announced) announce(record)
      const line = lineOf(record, performance.now() - begun)
      if (process.stderr.isTTY) {
        process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns || 100) - 1)}`)
        shown = line
      } else if (performance.now() - printedAt > plainEveryMs && line !== shown) {
        printedAt = performance.now()
        shown = line
        process.stderr.write(`${line}\n`)
      }
    },
    end() {
      if (process.stderr.isTTY && shown !== '') process.stderr.write('\r\x1b[K')
    },
  }
}

function workflowPath({ workflowId, temporalRunId }: RunRecord): string {
  return `${encodeURIComponent(workflowId)}/${temporalRunId ?? ''}`
}

function lineOf({ counts }: RunRecord, ms: number): string {
  const parts = [
    `${count(counts.scanned, 'key')} scanned`,
    `${counts.puts.toLocaleString('en-US')} written (${bytes(counts.bytes)})`,
  ]
  if (counts.deletes > 0) parts.push(`${counts.deletes.toLocaleString('en-US')} deleted`)
  if (counts.failed > 0) parts.push(`${counts.failed} failed`)
  return `  ${parts.join(', ')} · ${duration(ms)}`
}
