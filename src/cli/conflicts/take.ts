/** How a person decides a conflict: which side, what content, or by which strategy. */
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ConflictRecord } from '../../catalog/catalog.ts'
import { namedStrategy, plainNames } from '../../config/index.ts'
import { EXIT, UserError } from '../../errors.ts'
import { MIB } from '../../limits.ts'
import type { Contender, Content, Directive, RunNumber, Take } from '../../model.ts'
import { sideOf } from '../../sync/strategies/choose.ts'
import { isUndone } from '../../sync/undone.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { openContents } from '../contents.ts'
import { bytes, printable } from '../output.ts'
import { datasetNamed, type Session } from '../session.ts'
import { inAnother } from './undo.ts'

/** `overwriteLater`: of one that was resolved before, whatever came since. */
export interface Given {
  take: Take
  overwriteLater: boolean
}

export interface Decided {
  record: ConflictRecord
  /** It is resolved, and opened again to be decided so. */
  reopens: boolean
  directive: Directive
  /** `takes what aws has (1.2 KiB)`. */
  words: string
}

/** Read whole, and kept in the vault before anything else happens. */
const contentBytesMax = 256 * MIB

/** `one`: a single conflict is decided; a file's content fits no two. */
export async function takeOf(
  context: CommandContext,
  session: Session,
  options: CommandOptions,
  one: boolean,
): Promise<Take> {
  const { take, content, strategy } = options
  const ways = { take, content, strategy }
  const given = Object.entries(ways).flatMap(([name, value]) =>
    typeof value === 'string' ? [`--${name}`] : [],
  )
  if (given.length !== 1) {
    const [code, words] =
      given.length === 0
        ? ['usage-missing-argument', 'how is it to be resolved?']
        : ['usage-invalid', `${given.join(' and ')} were given: it is resolved in one way`]
    throw new UserError(code, words, {
      next: 'Give one of --take REPLICA, --content FILE, --strategy NAME',
    })
  }
  if (typeof take === 'string') return { replica: take }
  if (typeof strategy === 'string') return { strategy }
  if (!one) {
    throw new UserError('usage-invalid', 'a file’s content resolves one conflict at a time', {
      next: 'Name its number: tidemark conflicts resolve ID --content FILE',
    })
  }
  return { content: await keepFile(context, session, content as string) }
}

async function keepFile(context: CommandContext, session: Session, file: string): Promise<Content> {
  const path = resolve(file)
  const data = await readGiven(path)
  const contents = await openContents(context, session)
  try {
    return await contents.keep(data)
  } finally {
    await contents.close()
  }
}

async function readGiven(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path)
    if (size <= contentBytesMax) return await readFile(path)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown'
    throw new UserError('content-unreadable', `the file can’t be read: ${code}`, {
      where: path,
      next: 'Give a file that exists and may be read.',
      cause,
    })
  }
  throw new UserError('content-too-large', `the file is larger than ${bytes(contentBytesMax)}`, {
    where: path,
    next: 'Put it in place at one of the replicas, sync, and take that side.',
  })
}

/** Throws where the conflict can't be decided so, before anything is done. */
export async function decide(
  session: Session,
  record: ConflictRecord,
  given: Given,
): Promise<Decided> {
  const { take } = given
  const { id, identity, state, kind } = record
  if (state === 'closed') throw notOpen(record, 'ended by itself: its replicas agreed')
  if (kind === 'drift') refuseDrift(record, take)
  if ('strategy' in take) checkStrategy(session, record, take.strategy)
  const side = 'replica' in take ? sideAt(record, take.replica) : null
  const anew = state === 'resolved' || isUndone(record) ? await headOf(session, record, given) : {}
  return {
    record,
    reopens: state === 'resolved',
    directive: { do: 'resolve', conflict: id, identity, take, ...anew },
    words: wordsOf(take, side),
  }
}

function checkStrategy({ config }: Session, { dataset: name }: ConflictRecord, word: string): void {
  const dataset = datasetNamed(config, name)
  if (namedStrategy(word, dataset.rules, dataset, config)) return
  throw new UserError('strategy-unknown', `there is no strategy "${word}" for ${name}`, {
    next: `Take one of ${plainNames.join(', ')}, or one that a rule of ${name} has.`,
  })
}

function wordsOf(take: Take, side: Contender | null): string {
  if ('strategy' in take) return `decided by ${take.strategy}`
  if ('content' in take) return `takes the file's content (${bytes(take.content.size)})`
  const what = side?.content ? bytes(side.content.size) : 'deleted'
  return `takes what ${take.replica} has (${what})`
}

export function sideAt(record: ConflictRecord, replica: string): Contender {
  const { contenders } = record.conflict
  const side = contenders.find((one) => sideOf(one).includes(replica))
  if (side) return side
  const sides = contenders.flatMap(sideOf).join(', ')
  throw new UserError('conflict-no-such-side', `${replica} has no side in conflict ${record.id}`, {
    where: `${record.dataset}: ${printable(record.key)}`,
    next: `Its sides are: ${sides}. In bulk, --replica ${replica} names those where it has one.`,
  })
}

/** One-way, the source decides; what is left to say is that it may. */
function refuseDrift({ id, conflict, dataset, key }: ConflictRecord, take: Take): void {
  const agreed = conflict.contenders.find(({ head }) => head)
  if ('replica' in take && agreed && sideOf(agreed).includes(take.replica)) return
  throw new UserError('conflict-drift', `conflict ${id} is a destination’s own change`, {
    where: `${dataset}: ${printable(key)}`,
    next:
      'Take the source’s side, or put the content in place at the source; `drift: keep` in the ' +
      'config leaves the destination as it is.',
  })
}

/** Decided before, and anew if nothing happened to the key since. `head`: null where it is gone,
 *  and everybody confirmed that. */
async function headOf(
  { catalog }: Session,
  record: ConflictRecord,
  { overwriteLater }: Given,
): Promise<{ head: RunNumber | null }> {
  const { id, dataset, key, endedRun } = record
  const [other] = await catalog.findConflicts({ dataset, key, states: ['open'], limit: 1 })
  if (other && other.id !== id) throw inAnother(record, other.id)
  const row = (await catalog.getBaseline(dataset, [key])).get(key)
  const [newest] = await catalog.linesOfKey(dataset, key, { limit: 1 })
  const later = newest?.version.run ?? 0
  if (later > (endedRun ?? 0) && !overwriteLater) {
    throw new UserError('conflict-overtaken', `run ${later} changed the key of conflict ${id}`, {
      where: `${dataset}: ${printable(key)}`,
      next: 'To overwrite what came later (the vault keeps it): --overwrite-later',
      exit: EXIT.unreachable,
    })
  }
  return { head: row?.head.run ?? null }
}

function notOpen({ id, dataset, key }: ConflictRecord, why: string): UserError {
  return new UserError('conflict-not-open', `conflict ${id} is ${why}`, {
    where: `${dataset}: ${printable(key)}`,
    next: `See: tidemark conflicts show ${id}; older versions: tidemark log ${dataset}`,
    exit: EXIT.unreachable,
  })
}
