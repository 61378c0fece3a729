/**
 * What a destination does with writes: whether it refuses those whose condition doesn't hold, and
 * whether what was written is shown as it was written. Under keys of its own, which go again.
 */
import { randomUUID } from 'node:crypto'
import { digestProblem, digestsOf } from '../../../connectors/digests.ts'
import type { Entry, Key, Metadata, Token } from '../../model.ts'
import { sameMetadata, sameToken } from '../../sync/content.ts'
import { probePrefix } from '../../sync/filter.ts'
import { compareKeys, keyProblem } from '../../sync/keys.ts'
import { type Attempt, attempt, type Probing, sayFailure, sayRefused } from './check.ts'
import { removeLeft, type Writing, write } from './keys.ts'
import { probeResume } from './resume.ts'

/** `keeps`: looks whether an entry that was just written is kept when it is overwritten. */
export async function probeWrites(
  probing: Probing,
  keeps: (entry: Entry) => Promise<void>,
): Promise<void> {
  const under = `${probePrefix}${randomUUID()}`
  const keys = new Set<Key>()
  const used = (name: string) => {
    keys.add(under + name)
    return under + name
  }
  const writing = { ...probing, under, used }
  try {
    const small = await probeConditions(writing, '', keeps)
    const large = await probeConditions(writing, ', in parts', keeps)
    if (small) {
      await probeMetadata(writing)
      await probeOrder(writing)
      await probeCopy(writing, small)
    }
    if (large) await probeResume(writing)
  } finally {
    for (const key of keys) await removeLeft(probing, key)
  }
}

// ── conditions ──────────────────────────────────────────────────────────────────────────────────

/** Gives what it wrote last, where it could. */
async function probeConditions(
  writing: Writing,
  kind: '' | ', in parts',
  keeps: (entry: Entry) => Promise<void>,
): Promise<Entry | null> {
  const { connector, signal, say } = writing
  const key = writing.used(kind === '' ? '' : '-parts')
  const size = kind === '' ? 16 : connector.traits.partBytes + 1
  const put = (expect: Token | null, fill: number) =>
    attempt(writing, (signal) => write(writing, key, expect, { size, fill, signal }))
  const first = await put(null, 1)
  if (!first.value) {
    sayFailure(writing, `create${kind}`, first.error)
    return null
  }
  say(`write${kind}`, 'ok')
  sayRefused(writing, `create${kind}`, await put(null, 2))
  // Whatever the state is by now, one write under its own token makes the first token an old one.
  const now = await connector.stat(key, { signal })
  const second = await put(now?.token ?? null, 3)
  if (!second.value) {
    sayFailure(writing, `overwrite${kind}`, second.error)
    return null
  }
  if (kind === '') await keeps(second.value)
  sayRefused(writing, `overwrite${kind}`, await put(first.value.token, 4))
  if (kind === '') sayRefused(writing, 'delete', await removeAt(writing, key, first.value.token))
  // Where the delete wasn't refused, there is nothing left to look at.
  const left = (await connector.stat(key, { signal })) ?? (await put(null, 3)).value
  if (left) sayDigests(writing, `digests${kind}`, left)
  return left ?? null
}

/** A token that the store took for a later write would be no old one. */
function removeAt(writing: Writing, key: Key, token: Token): Promise<Attempt<void>> {
  return attempt(writing, (signal) =>
    writing.connector.remove(key, token, { signal, beforeCommit: async () => {} }),
  )
}

/** By key, of what was written last; what was filled with is told by its first byte. */
function sayDigests({ say }: Writing, check: string, { size, digests }: Entry): void {
  const possible = [3, 4].map((fill) => digestsOf(Buffer.alloc(size, fill)))
  const problems = possible.map((actual) => digestProblem(digests, actual))
  const names = Object.keys(digests).join(', ')
  if (names === '') say(check, 'ok', 'it has none: content is read where it must be compared')
  else if (problems.includes(null)) say(check, 'ok', names)
  else say(check, 'failed', `${problems[0]}`, reportIt)
}

const reportIt = 'Don’t use it as a replica, and report it: contents would be taken for others.'

// ── what is shown ───────────────────────────────────────────────────────────────────────────────

const metadata: Metadata = {
  contentType: 'application/x-tidemark-probe',
  cacheControl: 'no-store',
  user: { 'tidemark-probe': 'as it was sent' },
}

async function probeMetadata(writing: Writing): Promise<void> {
  const { connector, say } = writing
  if (!connector.traits.carriesMetadata) {
    say('metadata', 'not tried', 'it carries none')
    return
  }
  const key = writing.used('-metadata')
  const found = await attempt(writing, async (signal) => {
    await write(writing, key, null, { size: 16, fill: 1, signal, metadata })
    return await connector.stat(key, { signal })
  })
  if (!found.ok) sayFailure(writing, 'metadata', found.error)
  else if (found.value?.metadata && sameMetadata(metadata, found.value.metadata)) {
    say('metadata', 'ok', 'as they were sent')
  } else {
    const words = `sent ${JSON.stringify(metadata)}, shown ${JSON.stringify(found.value?.metadata)}`
    say('metadata', 'failed', words, 'What it changes would be copied back and forth: report it.')
  }
}

/** In order by UTF-8 bytes; other in that of UTF-16, of letters without case, and of URLs. */
const names = ['Z', 'a b', 'a%2Fb', 'a+b', 'é', 'Ａ', '😀']

/** Over several pages, with the states and digests that the writes gave. */
async function probeOrder(writing: Writing): Promise<void> {
  const { connector, under, say } = writing
  const from = `${under}-order/`
  const holds = (name: string) => keyProblem(from + name, connector.traits.keys) === null
  const listed = await attempt(writing, async (signal) => {
    const written: Entry[] = []
    for (const name of names.filter(holds)) {
      const key = writing.used(`-order/${name}`)
      written.push(await write(writing, key, null, { size: 16, fill: 1, signal }))
    }
    const shown: Entry[] = []
    const range = { from, to: `${under}-order0` }
    for await (const page of connector.list(range, undefined, { signal })) {
      shown.push(...page.entries)
    }
    return { written, shown }
  })
  if (!listed.value) return sayFailure(writing, 'order', listed.error)
  const { shown, written } = listed.value
  written.sort((a, b) => compareKeys(a.key, b.key))
  const wanted = written.map(({ key }) => key.slice(from.length)).join(' ')
  const found = shown.map(({ key }) => key.slice(from.length)).join(' ')
  if (wanted === found) say('order', 'ok', `${shown.length} keys over several pages`)
  else say('order', 'failed', `written ${wanted}, listed ${found}`, reportIt)
  sayListed(writing, written, shown)
}

function sayListed({ say }: Writing, written: Entry[], shown: Entry[]): void {
  const actual = digestsOf(Buffer.alloc(16, 1))
  const problem = shown.map(({ digests }) => digestProblem(digests, actual)).find(Boolean)
  // Not yet settled is what a folder calls a file of this moment.
  const moved = shown.find(({ token }, i) => {
    return !token.unsettled && !sameToken(written[i]?.token ?? null, token)
  })
  const brought = Object.keys(shown[0]?.digests ?? {}).join(', ')
  if (problem) say('listing', 'failed', problem, reportIt)
  else if (moved) say('listing', 'failed', `${moved.key} is shown in another state`, reportIt)
  else say('listing', 'ok', `shows what was written${brought && `, with ${brought}`}`)
}

// ── copies ──────────────────────────────────────────────────────────────────────────────────────

async function probeCopy(writing: Writing, from: Entry): Promise<void> {
  const { connector, say } = writing
  const key = writing.used('-copy')
  const copy = (source: Token, expect: Token | null) =>
    attempt(writing, async (signal) => {
      const { key: at, size } = from
      const options = { digests: {}, signal, beforeCommit: async () => {} }
      const origin = { connector, key: at, token: source, size }
      return await connector.copyWithin?.(key, origin, expect, options)
    })
  if (!connector.copyWithin) {
    say('copy', 'not tried', 'content passes through Tidemark')
    return
  }
  const first = await copy(from.token, null)
  if (!first.value) return sayFailure(writing, 'copy', first.error)
  const problem = digestProblem(first.value.digests, from.digests)
  if (problem) say('copy', 'failed', problem, reportIt)
  else say('copy', 'ok', 'by the store itself')
  sayRefused(writing, 'copy, create', await copy(from.token, null))
  const now = await attempt(writing, (signal) =>
    write(writing, from.key, from.token, { size: 16, fill: 5, signal }),
  )
  if (!now.value) return sayFailure(writing, 'copy, source', now.error)
  const held = await attempt(writing, (signal) => connector.stat(key, { signal }))
  sayRefused(writing, 'copy, source', await copy(from.token, held.value?.token ?? null))
}
