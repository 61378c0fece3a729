/**
 * A conflict that was decided, and that a person wants to decide anew: between the sides that it
 * had, whose contents the vault has. Pure.
 */
import type {
  BaselineRow,
  Conflict,
  Contender,
  Content,
  Decision,
  Entry,
  Observation,
  Resolution,
} from '../model.ts'
import { compareContent } from './content.ts'
import { sideOf } from './strategies/choose.ts'

/** It is open because a person took back how it had been resolved. */
export function isUndone(record: { state: string; resolution: Resolution | null }): boolean {
  return record.state === 'open' && record.resolution !== null
}

/** Its content is the vault's alone: it lost, and nobody has it now. */
export function isKept({ content, replicas, was }: Contender): boolean {
  return was !== undefined && content !== null && replicas.length === 0
}

/** Every replica that is known has the head; of some only the token may be another one now. */
export function isAsAgreed(row: BaselineRow | null, decision: Decision): boolean {
  if (decision.kind === 'nothing') return true
  if (decision.kind !== 'item' || decision.conflict) return false
  const { head, actions } = decision.item
  return head.run === row?.head.run && actions.every((one) => one.do === 'adopt' && !one.drift)
}

/**
 * As it was, on the replicas as they are: all have what is agreed (`isAsAgreed`), which is the side
 * that won, or what was made of all of them, or what came later. What is unknown now gets the
 * outcome by being behind.
 */
export function decidedAnew(
  conflict: Conflict,
  row: BaselineRow | null,
  observations: ReadonlyMap<string, Observation>,
): Conflict {
  const agreed = row?.head.content ?? null
  const seen = [...observations].flatMap(([replica, one]): Seen[] => {
    if (one.kind === 'unknown') return []
    return [{ replica, entry: one.kind === 'entry' ? one.entry : null }]
  })
  const stands = conflict.contenders.find(({ content }) => isSame(content, agreed))
  const there = seen.filter(({ entry }) => stands && (entry !== null) === (agreed !== null))
  const contenders = conflict.contenders.map((one): Contender => {
    const side = one === stands ? there : []
    return {
      ...one,
      was: sideOf(one),
      replicas: side.flatMap(({ replica, entry }) =>
        entry ? [{ replica, token: entry.token }] : [],
      ),
      deletedAt: side.flatMap(({ replica, entry }) => (entry ? [] : [replica])),
      // What is agreed is what was taken back: that is no reason for it.
      head: false,
    }
  })
  const bystanders = seen
    .filter((one) => !there.includes(one))
    .map(({ replica, entry }) => ({
      replica,
      ...{ expect: entry?.token ?? null, content: entry ? agreed : null },
    }))
  return { ...conflict, rev: row?.rev ?? 0, head: row?.head ?? null, contenders, bystanders }
}

interface Seen {
  replica: string
  entry: Entry | null
}

function isSame(a: Content | null, b: Content | null): boolean {
  if (a === null || b === null) return a === b
  return compareContent(a, b) === 'same'
}
