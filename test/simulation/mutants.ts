/**
 * Bugs, put in by hand one at a time: each must be found by the simulation. As data: a patch of a
 * source file, in which `from` stands exactly once.
 */
import type { Patch } from './patch.ts'

export interface Mutant {
  name: string
  /** What it breaks, in the words of the invariants. */
  breaks: string
  /** A seed that finds it. */
  seed: number
  patches: Patch[]
}

const bug = (
  name: string,
  breaks: string,
  seed: number,
  ...patches: [file: string, from: string, to: string][]
): Mutant => ({
  name,
  breaks,
  seed,
  patches: patches.map(([file, from, to]) => ({ file, from, to })),
})

export const mutants: Mutant[] = [
  // ── I1 No blind write, no loose read ──────────────────────────────────────────────────────────
  bug('a write expects what is there now, not what the plan saw', 'I1', 21, [
    'activities/transfer.ts',
    'const { connector, expect } = target\n            const result',
    'const { connector } = target\n            const now = await connector.stat(item.key, { signal: context.signal })\n            const expect = now?.token ?? null\n            const result',
  ]),
  bug(
    'a source is read as it is now, unpinned and unverified',
    'I1',
    435,
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
  // ── I2 No content is lost ─────────────────────────────────────────────────────────────────────
  bug('an overwrite without the vault', 'I2', 16, [
    'src/sync/item.ts',
    'if (policy.history) rescue(',
    'if (policy.history && head.content === null) rescue(',
  ]),
  bug('a delete without the vault', 'I2', 4, [
    'src/sync/item.ts',
    'if (policy.history) rescue(',
    'if (policy.history && head.content !== null) rescue(',
  ]),
  bug("a conflict's loser is not kept", 'I2', 8, [
    'src/sync/resolve.ts',
    'if (loser || policy.history)',
    'if (!loser && policy.history)',
  ]),
  bug("a conflict's loser is kept only with history", 'I2', 36, [
    'src/sync/resolve.ts',
    'if (loser || policy.history)',
    'if (policy.history)',
  ]),
  bug('the vault goes by its index, not by what lies there', 'I2', 48, [
    'src/vault/vault.ts',
    'if (there?.form) return content.digests',
    'if (!fresh) return content.digests',
  ]),
  bug('what history and conflicts need is collected', 'I2', 151, [
    'src/vault/collect.ts',
    'return usedAt < usedBefore && !marks.has(content)',
    'return usedAt < usedBefore',
  ]),
  bug('the vault keeps what is there now under the digest of what was there', 'I2', 6, [
    'src/vault/vault.ts',
    `source.connector.read(source.key, source.token, undefined, { signal })
  const bytes = await wholeBody(body)
  const problem = digestProblem(source.content.digests, digestsOf(bytes))
  if (problem) throw corrupt(source.connector.name, source.key, problem)`,
    `source.connector.read(source.key, (await source.connector.stat(source.key, { signal }))?.token ?? source.token, undefined, { signal })
  const bytes = await wholeBody(body)`,
  ]),
  bug('a location that leads elsewhere is believed', 'I12', 469, [
    'activities/prepare.ts',
    'if (known.identity !== identity) {',
    'if (known.identity === null) {',
  ]),
  bug('a location that was moved keeps its holds', 'I12', 1109, [
    'src/rebind.ts',
    'for (const name of datasets) forgotten',
    'for (const name of datasets.slice(1)) forgotten',
  ]),
  // ── I3 Absence is not deletion ────────────────────────────────────────────────────────────────
  bug('deletes go on before all ranges have ended', 'I3', 16, [
    'activities/tally.ts',
    "const state = item.head.content === null ? 'deferred' : 'pending'",
    "const state = 'pending'",
  ]),
  bug('absence is not looked at again', 'I3', 68, [
    'activities/carry-out.ts',
    'for (const replica of item.goneAt) {\n    const connector: Connector | null',
    'for (const replica of [] as string[]) {\n    const connector: Connector | null',
  ]),
  bug(
    'a failing listing passes for one that ended, and nothing looks again',
    'I3',
    68,
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
    17,
    [
      'src/sync/merge-join.ts',
      "if (lane.listing.pages === null) return { kind: 'unknown', reason: lane.listing.reason }",
      "if (lane.listing.pages === null) return { kind: 'absent' }",
    ],
    ['activities/deletes.ts', 'if (doubtful !== undefined) {', 'if (doubtful === null) {'],
    ['activities/carry-out.ts', 'if (!connector) return false', 'if (!connector) continue'],
    ['activities/deletes.ts', 'if (isEmpty || (gone > 0 &&', 'if (gone < 0 && (gone > 0 &&'],
  ),
  bug('an emptied replica is believed', 'I3', 17, [
    'activities/deletes.ts',
    'const held = item?.goneAt.some((replica) => emptied.has(replica))',
    'const held = false',
  ]),
  bug('the delete limit is not asked', 'I3', 16, [
    'activities/deletes.ts',
    'if (!broken) return null',
    'return null',
  ]),
  bug('any create excuses a delete', 'I3', 351, [
    'src/catalog/plan.ts',
    'const unexcused = left.get(content as string) ?? 0',
    'const unexcused = left.get(content as string) ?? 1',
  ]),
  bug('a second page of a listing is swallowed', 'I3, I7', 9, [
    'activities/listing.ts',
    'yield page\n',
    'yield page\n      break\n',
  ]),
  // ── I6 Idempotent ─────────────────────────────────────────────────────────────────────────────
  bug('a lost reply passes for somebody else’s change', 'I6', 726, [
    'activities/carry-out.ts',
    "return content ? done(entry.token, content) : { kind: 'changed-meanwhile' }",
    "return content && attempt.holder.attempt < 0 ? done(entry.token, content) : { kind: 'changed-meanwhile' }",
  ]),
  // ── I7, I8 Convergence; the baseline moves only with the outcome ──────────────────────────────
  bug('a failed put is agreed', 'I8', 33, [
    'src/sync/settle.ts',
    "if (outcome?.kind === 'done') holds[action.replica] = holdAfter(action, outcome.token, head)",
    "if (outcome) holds[action.replica] = holdAfter(action, outcome.kind === 'done' ? outcome.token : action.do === 'adopt' ? action.token : action.expect, head)",
  ]),
  bug('a tombstone is forgotten at once', 'I7', 696, [
    'src/sync/settle.ts',
    'const forgotten = head.content === null && Object.values(holds).every((h) => h.token === null)',
    'const forgotten = head.content === null',
  ]),
  bug('a change wins over a delete without a conflict', 'conflicts', 995, [
    'src/sync/reconcile.ts',
    'const lawful = row === null || (undisputed && fromHead(only, row))',
    'const lawful = row === null || fromHead(only, row)',
  ]),
  bug('contents of the same size are equal', 'I7', 6, [
    'src/sync/content.ts',
    "if (x !== undefined && y !== undefined) return x === y ? 'same' : 'different'",
    "if (x !== undefined && y !== undefined) return 'same'",
  ]),
  bug('contents that can’t be compared are equal', 'I7', 8, [
    'src/sync/content.ts',
    "return 'unknown'\n}\n\n/** Bytes and metadata.",
    "return 'same'\n}\n\n/** Bytes and metadata.",
  ]),
  bug('content from a folder takes whatever type its target had', 'I7', 843, [
    'activities/carry-out.ts',
    'if (!origin.carriesMetadata)',
    "if (origin.name === '')",
  ]),
  bug('a page that did not end its range ends it', 'I7', 29, [
    'src/catalog/scan.ts',
    "state: page.ended ? 'scanned' : 'open'",
    "state: 'scanned'",
  ]),
  bug('a range that is cut loses the key that it is cut at', 'I7', 33, [
    'activities/scan.ts',
    'cutAt = fresh.key\n',
    "cutAt = fresh.key + '~'\n",
  ]),
  bug(
    'the rest of a range that was cut is not started',
    'I7',
    33,
    ['workflows/sync-range.ts', 'if (next.cut !== null) await tellRun(next.cut)', ''],
    ['workflows/sync-dataset.ts', 'if (page?.cut) seen.rangesKnown = page.cut + 1', ''],
  ),
  bug('a scan that goes on loses the first row of the baseline', 'I4, I8', 29, [
    'activities/scan.ts',
    'if (rows.length > 0) yield rows',
    'if (rows.length > 0) yield after === null || after !== range.cursor ? rows : rows.slice(1)',
  ]),
  bug('puts that a delete blocked are never tried again', 'I7', 109, [
    'workflows/sync-dataset.ts',
    "if (blocked) await pausable.run(() => apply({ run, lane: 'blocked' }))",
    '',
  ]),
  // ── I9 Order is checked ───────────────────────────────────────────────────────────────────────
  bug('keys are ordered by UTF-16 units', 'I9', 460, [
    'src/sync/keys.ts',
    'if (x !== y) return fixUp(x) - fixUp(y)',
    'if (x !== y) return x - y',
  ]),
  bug(
    'a listing out of order is believed, and nothing looks again',
    'I9',
    68,
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
  bug('a delete wins over an update', 'conflicts', 209, [
    'src/sync/strategies/choose.ts',
    'if (updates.length < contenders.length && rest.length === 0) return win(winner, survives)',
    'const gone = contenders.find(({ content }) => content === null)\n  if (gone && rest.length === 0) return win(gone, survives)',
  ]),
  bug('the oldest of several contents wins', 'conflicts', 84, [
    'src/sync/strategies/choose.ts',
    'return a.at === b.at ? staysBefore(a, b) : (a.at ?? 0) > (b.at ?? 0)',
    'return a.at === b.at ? staysBefore(a, b) : (a.at ?? 0) < (b.at ?? 0)',
  ]),
  bug('conflicts that stay open are not noted', 'conflicts', 6, [
    'activities/resolve.ts',
    'opened.push(record)\n',
    '',
  ]),
  bug(
    'a conflict that ended by itself stays open',
    'conflicts',
    39,
    [
      'activities/scan.ts',
      "=== 'unknown')) open.close(one.key)",
      "=== 'unknown')) open.get(one.key)",
    ],
    ['activities/scan.ts', 'scan.open.close(joined.key)\n', ''],
  ),
  bug('drift is overwritten unasked', 'one-way', 163, [
    'src/sync/reconcile-one-way.ts',
    "if (drift === 'overwrite') {",
    "if (drift !== 'keep') {",
  ]),
  bug('excluded keys are synced', 'filters', 5, [
    'activities/scan.ts',
    'if (!context.selects(joined.key)) {',
    'if (joined.key === null) {',
  ]),
  bug('deletes are counted by replica', 'reports', 115, [
    'activities/commit.ts',
    "verb === 'delete') deleted = true",
    "verb === 'delete') add('deletes')",
  ]),
  bug('a line of the audit does not follow from the one before', 'audit', 1, [
    'src/catalog/audit.ts',
    'prev = auditDigest(row)\n',
    "prev = auditDigest({ ...row, prev: '' })\n",
  ]),
  bug('a restore takes the newest version for the one that was meant', 'history', 140, [
    'activities/select.ts',
    '  const { content, run } = version\n',
    '  const { run } = version\n  const content = row?.head.content ?? version.content\n',
  ]),
]
