/** What one location answers, step by step: for `doctor`. Writes only where it's told to. */

import type { Connector } from '../../../connectors/connector.ts'
import { openConnector } from '../../../connectors/index.ts'
import type { LocationOptions } from '../../../connectors/options.ts'
import { resolveReferences } from '../../config/index.ts'
import { MIB } from '../../limits.ts'
import type { Entry } from '../../model.ts'
import { attempt, type Check, isCode, type Probing, type Say, sayFailure, tried } from './check.ts'
import { probeWrites } from './writes.ts'

/** S3's smallest part, so that a probe of two parts is one everywhere; and pages of a few keys. */
const sizes = { concurrency: 4, partBytes: 5 * MIB, pageKeys: 3 }

export interface ProbeSettings {
  /** Write temporary keys below `.tidemark-probe/`, and remove them. */
  probe: boolean
  /** Who it was when a run last saw it; null: none has. */
  known: string | null
  /** Say whether it keeps versions by itself. */
  versions?: boolean
  signal: AbortSignal
}

export async function probeLocation(
  name: string,
  options: LocationOptions,
  { probe, known, versions = false, signal }: ProbeSettings,
): Promise<Check[]> {
  const checks: Check[] = []
  const say: Say = (check, state, detail = '', next) =>
    checks.push({ subject: name, check, state, detail, ...(next !== undefined && { next }) })
  const { type } = options
  let connector: Connector | null = null
  try {
    connector = await openConnector(name, await resolveReferences(options), sizes)
    const probing = { connector, type, signal, say }
    const entry = await probeReads(probing, known)
    sayTraits(probing)
    if (versions && !connector.versions) say('versions', 'not kept', `it has none: ${falls}`)
    const keeping = versions && connector.versions !== undefined
    if (probe && entry !== undefined) {
      // What is written now tells more than what may be older than the bucket's versioning.
      await probeWrites(probing, async (written) => {
        if (keeping) await probeVersions(probing, written)
      })
    } else if (keeping && entry) await probeVersions(probing, entry)
    else if (keeping && entry === null) say('versions', 'not tried', 'no object was seen')
  } catch (error) {
    if (signal.aborted) throw error
    sayFailure({ type, say }, 'open', error)
  } finally {
    await connector?.close()
  }
  return checks
}

/** An entry of the location; null: none was seen. undefined: it wasn't reached at all. */
async function probeReads(
  probing: Probing,
  known: string | null,
): Promise<Entry | null | undefined> {
  const { connector, say } = probing
  const identified = await tried(probing, 'connect', (signal) =>
    connector.identity({ create: false, signal }),
  )
  if (identified.value === undefined) return undefined
  const { name } = connector
  if (known !== null && known !== identified.value) {
    const next = `Put back what was there; or, if it is meant: tidemark rebind ${name}`
    say('place', 'failed', `it was ${known}, and is ${identified.value}`, next)
  }
  const listed = await tried(probing, 'list', async (signal) => {
    for await (const page of connector.list({ from: null, to: null }, undefined, { signal })) {
      const entry = page.entries.find(({ size }) => size > 0) ?? page.entries[0]
      if (entry) return entry
    }
    return null
  })
  const entry = listed.value
  if (!entry) {
    if (listed.ok) say('read', 'not tried', 'it is empty')
    return null
  }
  await tried(probing, 'read', async (signal) => {
    const range = entry.size > 0 ? { start: 0, end: 1 } : undefined
    try {
      const { body } = await connector.read(entry.key, entry.token, range, { signal })
      for await (const _chunk of body);
    } catch (error) {
      // Someone changed it since it was listed: nothing is wrong with our permissions.
      if (!isCode(error, 'changed-meanwhile', 'not-found')) throw error
    }
  })
  return entry
}

const falls = 'what is replaced goes to the vault, unless another replica keeps it'

async function probeVersions(probing: Probing, { key, token }: Entry): Promise<void> {
  const { connector, say } = probing
  const kept = await attempt(probing, (signal) =>
    connector.versions ? connector.versions.keep(key, token, { signal }) : Promise.resolve(null),
  )
  const moved = isCode(kept.error, 'changed-meanwhile', 'not-found')
  if (moved) say('versions', 'not tried', `${key} changed meanwhile`)
  else if (!kept.ok) sayFailure(probing, 'versions', kept.error)
  else if (kept.value) say('versions', 'ok', 'kept by the bucket')
  else {
    const next =
      'Turn on the bucket’s versioning, and let Tidemark read versions (S3: s3:GetObjectVersion; ' +
      'GCS: storage.buckets.get). What was written before has none; --probe writes anew.'
    say('versions', 'not kept', `${key} has none that can be read: ${falls}`, next)
  }
}

function sayTraits({ connector: { traits }, say }: Probing): void {
  const lost = 'another’s write in the same instant may be lost'
  if (!traits.conditionalCreate) say('create', 'not protected', lost)
  if (!traits.conditionalOverwrite) say('overwrite', 'not protected', lost)
  if (!traits.conditionalDelete) say('delete', 'not protected', lost)
}
