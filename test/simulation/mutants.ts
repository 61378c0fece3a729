/**
 * Bugs, put in by hand one at a time: each must be found by the simulation. As data: a patch of a
 * source file, in which `from` stands exactly once.
 */
import type { Patch } from './patch.ts'

export interface Mutant {
  name: string
  /** What it breaks, in the words of the invariants. */
  breaks: string
  /** A seed that finds it; null: none is known yet. */
  seed: number | null
  patches: Patch[]
}

const bug = (
  name: string,
  breaks: string,
  seed: number | null,
  ...patches: [file: string, from: string, to: string][]
): Mutant => ({
  name,
  breaks,
  seed,
  patches: patches.map(([file, from, to]) => ({ file, from, to })),
})

export const mutants: Mutant[] = [
  // ── I1 No blind write, no loose read ──────────────────────────────────────────────────────────
  bug('a write expects what is there now, not what the plan saw', 'I1', null, [
    'activities/transfer.ts',
    'const { connector, expect } = target\n            const result',
    'const { connector } = target\n            const now = await connector.stat(item.key, { signal: context.signal })\n            const expect = now?.token ?? null\n            const result',
  ]),
  bug('a delete expects what is there now, not what the plan saw', 'I1', null, [
    'activities/carry-out.ts',
    'await connector.remove(item.key, action.expect, {',
    'const now = await connector.stat(item.key, { signal })\n    await connector.remove(item.key, now?.token ?? action.expect, {',
  ]),
  bug(
    'a source is read as it is now, unpinned and unverified',
    'I1',
    null,
    [
      'activities/transfer.ts',
      'open: (signal) => connector.read(key, token, undefined, { signal }),',
      'open: async (signal) => connector.read(key, (await connector.stat(key, { signal }))?.token ?? token, undefined, { signal }),',
    ],
    [
      'activities/transfer.ts',
      'if (problem) throw new SourceError(corrupt(source.name, item.key, problem))',
      '',
    ],
    ['activities/transfer.ts', 'if (bytes.length !== size) {', 'if (bytes.length < 0) {'],
  ),
  bug('what moved before it was kept is overwritten all the same', 'I1, I2', null, [
    'activities/keep.ts',
    "if (error.code === 'changed-meanwhile' || error.code === 'not-found') moved.push(replica)",
    "if (error.code === 'changed-meanwhile' || error.code === 'not-found') failure = null",
  ]),
  // ── I2 No content is lost ─────────────────────────────────────────────────────────────────────
  bug('an overwrite without the vault', 'I2', null, [
    'src/sync/item.ts',
    'if (policy.history) rescue(',
    'if (policy.history && head.content === null) rescue(',
  ]),
  bug('a delete without the vault', 'I2', null, [
    'src/sync/item.ts',
    'if (policy.history) rescue(',
    'if (policy.history && head.content !== null) rescue(',
  ]),
  bug("a conflict's loser is not kept", 'I2', null, [
    'src/sync/resolve.ts',
    'if (loser || policy.history)',
    'if (!loser && policy.history)',
  ]),
  bug("a conflict's loser is kept only with history", 'I2', null, [
    'src/sync/resolve.ts',
    'if (loser || policy.history)',
    'if (policy.history)',
  ]),
  bug('the vault goes by its index, not by what lies there', 'I2', null, [
    'src/vault/vault.ts',
    'if (there?.form) return content.digests',
    'if (!fresh) return content.digests',
  ]),
  bug('what history and conflicts need is collected', 'I2', null, [
    'src/vault/collect.ts',
    'return usedAt < usedBefore && !marks.has(content)',
    'return usedAt < usedBefore',
  ]),
  bug('what was read is not compared with its digests', 'I1', null, [
    'activities/transfer.ts',
    'if (problem) throw new SourceError(corrupt(source.name, item.key, problem))',
    '',
  ]),
  bug('the vault keeps what is there now under the digest of what was there', 'I2', null, [
    'src/vault/vault.ts',
    `source.connector.read(source.key, source.token, undefined, { signal })
  const bytes = await wholeBody(body)
  const problem = digestProblem(source.content.digests, digestsOf(bytes))
  if (problem) throw corrupt(source.connector.name, source.key, problem)`,
    `source.connector.read(source.key, (await source.connector.stat(source.key, { signal }))?.token ?? source.token, undefined, { signal })
  const bytes = await wholeBody(body)`,
  ]),
  bug('a location that leads elsewhere is believed', 'I12', null, [
    'activities/prepare.ts',
    'if (known.identity !== identity) {',
    'if (known.identity === null) {',
  ]),
  // ── I3 Absence is not deletion ────────────────────────────────────────────────────────────────
  bug('deletes go on before all ranges have ended', 'I3', null, [
    'activities/tally.ts',
    "const state = item.head.content === null ? 'deferred' : 'pending'",
    "const state = 'pending'",
  ]),
  bug('absence is not looked at again', 'I3', null, [
    'activities/carry-out.ts',
    'for (const replica of item.goneAt) {\n    const connector: Connector | null',
    'for (const replica of [] as string[]) {\n    const connector: Connector | null',
  ]),
  bug(
    'a failing listing passes for one that ended, and nothing looks again',
    'I3',
    null,
    [
      'activities/listing.ts',
      'async function* pages(): AsyncGenerator<Page> {',
      'async function* pages(): AsyncGenerator<Page> {\n    try {\n      yield* all()\n    } catch {}\n  }\n  async function* all(): AsyncGenerator<Page> {',
    ],
    [
      'activities/carry-out.ts',
      'for (const replica of item.goneAt) {\n    const connector: Connector | null',
      'for (const replica of [] as string[]) {\n    const connector: Connector | null',
    ],
  ),
  bug(
    'an unknown replica passes for an empty one, and nothing asks why',
    'I3',
    null,
    [
      'src/sync/merge-join.ts',
      "if (lane.listing.pages === null) return { kind: 'unknown', reason: lane.listing.reason }",
      "if (lane.listing.pages === null) return { kind: 'absent' }",
    ],
    ['activities/deletes.ts', 'if (doubtful !== undefined) {', 'if (doubtful === null) {'],
    ['activities/carry-out.ts', 'if (!connector) return false', 'if (!connector) continue'],
    ['activities/deletes.ts', 'if (isEmpty || (gone > 0 &&', 'if (gone < 0 && (gone > 0 &&'],
  ),
  bug('an emptied replica is believed', 'I3', null, [
    'activities/deletes.ts',
    'const held = item?.goneAt.some((replica) => emptied.has(replica))',
    'const held = false',
  ]),
  bug('the delete limit is not asked', 'I3', null, [
    'activities/deletes.ts',
    'if (!broken) return null',
    'return null',
  ]),
  bug('the delete limit forgets earlier runs', 'I3', null, [
    'activities/deletes.ts',
    'const counted = before + deletes',
    'const counted = deletes',
  ]),
  bug('any create excuses a delete', 'I3', null, [
    'src/catalog/plan.ts',
    'const unexcused = left.get(content as string) ?? 0',
    'const unexcused = left.get(content as string) ?? 1',
  ]),
  bug('a second page of a listing is swallowed', 'I3, I7', null, [
    'activities/listing.ts',
    'yield page\n',
    'yield page\n      break\n',
  ]),
  // ── I6 Idempotent ─────────────────────────────────────────────────────────────────────────────
  bug('a retry does not look at its targets first', 'I6', null, [
    'activities/apply.ts',
    'round > 0 || attempt.again)',
    'round > 1_000)',
  ]),
  bug('a lost reply passes for somebody else’s change', 'I6', null, [
    'activities/carry-out.ts',
    "return content ? done(entry.token, content) : { kind: 'changed-meanwhile' }",
    "return content && attempt.number < 0 ? done(entry.token, content) : { kind: 'changed-meanwhile' }",
  ]),
  bug('a zombie asks for no fence', 'I6', null, [
    'activities/attempt.ts',
    'if (now - checkedAt < fenceCacheMs) return',
    'if (now > 0) return',
  ]),
  bug('a zombie commits beside its retry', 'I6', null, [
    'src/catalog/settle.ts',
    "if (by && !(await holds(tx, by.run, by.lane, by.attempt, 'lock'))) return null",
    '',
  ]),
  // ── I7, I8 Convergence; the baseline moves only with the outcome ──────────────────────────────
  bug('a failed put is agreed', 'I8', null, [
    'src/sync/settle.ts',
    "if (outcome?.kind === 'done') holds[action.replica] = holdAfter(action, outcome.token, head)",
    "if (outcome) holds[action.replica] = holdAfter(action, outcome.kind === 'done' ? outcome.token : action.do === 'adopt' ? action.token : action.expect, head)",
  ]),
  bug(
    'an outcome is agreed over whatever the row is now',
    'I8',
    null,
    ['src/catalog/settle.ts', 'if (present.rev !== expectRev) return false', ''],
    ['activities/apply.ts', "if ((row?.rev ?? 0) !== record.rev) commits.end(record, 'stale')", ''],
  ),
  bug('a tombstone is forgotten at once', 'I7', null, [
    'src/sync/settle.ts',
    'const forgotten = head.content === null && Object.values(holds).every((h) => h.token === null)',
    'const forgotten = head.content === null',
  ]),
  bug('who is behind passes for current', 'I7', null, [
    'src/sync/observe.ts',
    "return seen(holdsHead(row, hold) ? 'current' : 'behind', entry)\n",
    "return seen('current', entry)\n",
  ]),
  bug('a change made behind the head passes for its successor', 'conflicts', null, [
    'src/sync/reconcile.ts',
    'const lawful = row === null || (undisputed && fromHead(only, row))',
    'const lawful = row === null || undisputed',
  ]),
  bug('a change wins over a delete without a conflict', 'conflicts', null, [
    'src/sync/reconcile.ts',
    'const lawful = row === null || (undisputed && fromHead(only, row))',
    'const lawful = row === null || fromHead(only, row)',
  ]),
  bug('a head that nobody has any more is waited for', 'I7', null, [
    'src/sync/reconcile.ts',
    'if (row === null || row.head.content === null) return situation\n  const holds',
    'if (row !== undefined) return situation\n  const holds',
  ]),
  bug('contents of the same size are equal', 'I7', null, [
    'src/sync/content.ts',
    "if (x !== undefined && y !== undefined) return x === y ? 'same' : 'different'",
    "if (x !== undefined && y !== undefined) return 'same'",
  ]),
  bug('contents that can’t be compared are equal', 'I7', null, [
    'src/sync/content.ts',
    "return 'unknown'\n}\n\n/** Bytes and metadata.",
    "return 'same'\n}\n\n/** Bytes and metadata.",
  ]),
  bug('a page that did not end its range ends it', 'I7', null, [
    'src/catalog/scan.ts',
    "state: page.ended ? 'scanned' : 'open'",
    "state: 'scanned'",
  ]),
  bug('a range that is cut loses the key that it is cut at', 'I7', null, [
    'activities/scan.ts',
    'cutAt = fresh.key\n',
    "cutAt = fresh.key + '~'\n",
  ]),
  bug(
    'the rest of a range that was cut is not started',
    'I7',
    null,
    ['workflows/sync-range.ts', 'if (next.cut !== null) await tellRun(next.cut)', ''],
    ['workflows/sync-dataset.ts', 'if (page?.cut) seen.rangesKnown = page.cut + 1', ''],
  ),
  bug('a scan that goes on loses the first row of the baseline', 'I4, I8', null, [
    'activities/scan.ts',
    'if (rows.length > 0) yield rows',
    'if (rows.length > 0) yield after === null || after !== range.cursor ? rows : rows.slice(1)',
  ]),
  bug('puts that a delete blocked are never tried again', 'I7', null, [
    'workflows/sync-dataset.ts',
    "if (blocked) await pausable.run(() => apply({ run, lane: 'blocked' }))",
    '',
  ]),
  bug('a replica that left and came back is taken at its old word', 'I4', null, [
    'activities/prepare.ts',
    'await catalog.dropHolds(dataset.name, replica, asked)',
    'void asked',
  ]),
  // ── I9 Order is checked ───────────────────────────────────────────────────────────────────────
  bug('keys are ordered by UTF-16 units', 'I9', null, [
    'src/sync/keys.ts',
    'if (x !== y) return fixUp(x) - fixUp(y)',
    'if (x !== y) return x - y',
  ]),
  bug(
    'a listing out of order is believed, and nothing looks again',
    'I9',
    null,
    [
      'connectors/wrap.ts',
      'if (last !== undefined && compareKeys(last, key) >= 0) {',
      'if (last === null) {',
    ],
    [
      'src/sync/merge-join.ts',
      'if (last !== null && compareKeys(last, key) >= 0) {',
      'if (last === undefined) {',
    ],
    [
      'activities/carry-out.ts',
      'for (const replica of item.goneAt) {\n    const connector: Connector | null',
      'for (const replica of [] as string[]) {\n    const connector: Connector | null',
    ],
  ),
  // ── conflicts, one-way, reports ───────────────────────────────────────────────────────────────
  bug('a delete wins over an update', 'conflicts', null, [
    'src/sync/strategies/choose.ts',
    'if (updates.length < contenders.length && rest.length === 0) return win(winner, survives)',
    'const gone = contenders.find(({ content }) => content === null)\n  if (gone && rest.length === 0) return win(gone, survives)',
  ]),
  bug('the oldest of several contents wins', 'conflicts', null, [
    'src/sync/strategies/choose.ts',
    'return a.at === b.at ? staysBefore(a, b) : (a.at ?? 0) > (b.at ?? 0)',
    'return a.at === b.at ? staysBefore(a, b) : (a.at ?? 0) < (b.at ?? 0)',
  ]),
  bug('conflicts that stay open are not noted', 'conflicts', null, [
    'activities/resolve.ts',
    'opened.push(record)\n',
    '',
  ]),
  bug(
    'a conflict that ended by itself stays open',
    'conflicts',
    null,
    [
      'activities/scan.ts',
      "=== 'unknown')) open.close(one.key)",
      "=== 'unknown')) open.get(one.key)",
    ],
    ['activities/scan.ts', 'scan.open.close(joined.key)\n', ''],
  ),
  bug('drift is overwritten unasked', 'one-way', null, [
    'src/sync/reconcile-one-way.ts',
    "if (drift === 'overwrite') {",
    "if (drift !== 'keep') {",
  ]),
  bug('a decision between source and destination writes the source', 'one-way', null, [
    'src/sync/resolve.ts',
    "if (policy.direction === 'one-way' && replica === policy.source && action.do !== 'adopt')\n      continue",
    '',
  ]),
  bug('excluded keys are synced', 'filters', null, [
    'activities/scan.ts',
    'if (!context.selects(joined.key)) {',
    'if (joined.key === null) {',
  ]),
  bug('deletes are counted by replica', 'reports', null, [
    'activities/commit.ts',
    "verb === 'delete') deleted = true",
    "verb === 'delete') add('deletes')",
  ]),
  bug('a line of the audit does not follow from the one before', 'audit', null, [
    'src/catalog/audit.ts',
    'prev = auditDigest(row)\n',
    "prev = auditDigest({ ...row, prev: '' })\n",
  ]),
  bug('a restore takes the version after the one that was meant', 'history', null, [
    'activities/history-runs.ts',
    'return { run, carriedOutLater, beganAt: record.startedAt }',
    'return { run: run + 1, carriedOutLater, beganAt: record.startedAt }',
  ]),
]
