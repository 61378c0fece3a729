import type { ItemRecord, ItemState } from '../../catalog/catalog.ts'
import { EXIT, UserError } from '../../errors.ts'
import type { Contender, Content, Outcome, PlanItem } from '../../model.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { sideWords } from '../conflicts/words.ts'
import { askedWords } from '../history/request-words.ts'
import { showVersion } from '../history/show-version.ts'
import { createJsonStream } from '../json-stream.ts'
import { bytes, printable } from '../output.ts'
import { allStates, printHead } from '../run-report.ts'
import { openSession } from '../session.ts'
import { runNamed } from '../stored.ts'

const pageItems = 1_000

/** What a run did, or will do, to which key at which replica; page by page, however many. */
export async function run(
  context: CommandContext,
  [text]: string[],
  options: CommandOptions,
): Promise<number> {
  // A run is a number, everything else the name of a version.
  if (!/^\d+$/.test(text as string)) return await showVersion(context, text as string)
  const states = statesOf(options)
  const prefix = typeof options.prefix === 'string' ? options.prefix : ''
  const session = await openSession(context)
  try {
    const { catalog } = session
    const run = await runNamed(session, text as string)
    const replicas = await catalog.runReplicas(run.run)
    const items = await catalog.countItems(run.run)
    printHead(context, { run, replicas })
    const asked = await askedWords(catalog, run)
    if (asked !== '') context.output.line(`  ${printable(asked)}`)
    const stream = createJsonStream(context.output)
    await stream.begin({ run, replicas, counts: items }, 'items')
    for (let after = -1; ; ) {
      const page = await catalog.readItems({ run: run.run, states, after, limit: pageItems })
      for (const one of page) {
        if (!one.key.startsWith(prefix)) continue
        await stream.item(shownItem(one))
        if (!context.json) await context.output.write(`${lineOf(one, context)}\n`)
      }
      context.signal.throwIfAborted()
      if (page.length < pageItems) break
      after = page[page.length - 1]?.seq ?? after
    }
    await stream.end()
    return EXIT.ok
  } finally {
    await session.close()
  }
}

function statesOf({ only }: CommandOptions): ItemState[] {
  if (typeof only !== 'string') return allStates
  return only.split(',').map((name) => {
    const known = allStates.find((one) => one === name.trim())
    if (known) return known
    throw new UserError('usage-invalid', `there is no item state "${name}"`, {
      next: `They are: ${allStates.join(', ')}`,
    })
  })
}

/** An item for scripts. `outcome` null: nothing has become of that action yet. */
function shownItem({ key, state, item, conflict, outcomes }: ItemRecord) {
  return {
    key,
    state,
    reason: item?.reason ?? null,
    content: item ? item.head.content && contentOf(item.head.content) : null,
    actions: actionsOf(item, outcomes).map(({ replica, verb, outcome }) => ({
      replica,
      do: verb,
      outcome: outcome?.kind ?? null,
      ...(outcome && detailOf(outcome)),
    })),
    ...(conflict && {
      conflict: { kind: conflict.kind, contenders: conflict.contenders.map(contenderOf) },
    }),
  }
}

function contentOf({ size, digests, metadata }: Content) {
  return { size, digests, ...(metadata && { metadata }) }
}

function contenderOf({ content, replicas, deletedAt, at, head }: Contender) {
  const at_ = at === null ? null : new Date(at).toISOString()
  const names = replicas.map(({ replica }) => replica)
  return { content: content && contentOf(content), replicas: names, deletedAt, at: at_, head }
}

interface Shown {
  replica: string
  /** null: the plan had nothing for this replica, as where it can't hold the key. */
  verb: 'put' | 'delete' | 'adopt' | null
  outcome: Outcome | null
}

function actionsOf(item: PlanItem | null, outcomes: ItemRecord['outcomes']): Shown[] {
  const planned = (item?.actions ?? []).map(
    ({ replica, do: verb }): Shown => ({ replica, verb, outcome: outcomes[replica] ?? null }),
  )
  const others = Object.entries(outcomes)
    .filter(([replica]) => !planned.some((one) => one.replica === replica))
    .map(([replica, outcome]): Shown => ({ replica, verb: null, outcome }))
  return [...planned, ...others]
}

function detailOf(outcome: Outcome) {
  if (outcome.kind === 'failed') return { code: outcome.code, message: outcome.message }
  return 'reason' in outcome ? { message: outcome.reason } : {}
}

const colours = {
  ...({ done: 'green', failed: 'red', open: 'yellow', conflict: 'yellow' } as const),
  ...({ held: 'yellow', stale: 'yellow', skipped: 'dim', cancelled: 'dim' } as const),
  ...({ pending: 'cyan', deferred: 'cyan', blocked: 'cyan' } as const),
} as const

function lineOf({ key, state, item, conflict, outcomes }: ItemRecord, context: CommandContext) {
  const size = item?.head.content ? ` (${bytes(item.head.content.size)})` : ''
  const parts = actionsOf(item, outcomes).map(wordsOf)
  if (conflict) parts.unshift(`${conflict.kind}: ${conflict.contenders.map(sideWords).join(' / ')}`)
  const label = context.output.paint(colours[state], state.padEnd(9))
  const why = item ? `${item.reason}${size}: ` : ''
  return `${label}  ${printable(key)}  ${why}${printable(parts.join('; '))}`
}

function wordsOf({ replica, verb, outcome }: Shown): string {
  const todo = { put: 'write to', delete: 'delete from', adopt: 'equal at' }
  const done = { put: 'written to', delete: 'deleted from', adopt: 'equal already at' }
  switch (outcome?.kind) {
    case undefined:
      return `to do: ${verb ? todo[verb] : ''} ${replica}`
    case 'done':
      return `${verb ? done[verb] : 'done at'} ${replica}`
    case 'changed-meanwhile':
      return `${replica} changed meanwhile: left to the next run`
    case 'failed':
      return `failed at ${replica}: ${outcome.code}: ${outcome.message}`
    case 'held':
      return `held at ${replica}: ${outcome.reason}`
    case 'cancelled':
      return `taken back at ${replica}: ${outcome.reason}`
    case 'skipped':
      return `skipped${replica === '' ? '' : ` at ${replica}`}: ${outcome.reason}`
  }
}
