/**
 * A key's bytes from where they are to where they should be: pinned reads, conditional writes,
 * verified. One read feeds every target.
 */
import {
  type Connector,
  canCopyWithin,
  type ReadResult,
  type WriteOptions,
} from '../connectors/connector.ts'
import { createDigester, digestProblem, digestsOf, wholeBody } from '../connectors/digests.ts'
import type { Catalog } from '../src/catalog/catalog.ts'
import { StoreError } from '../src/errors.ts'
import type { Content, Entry, Key, Metadata, PlanItem, Token } from '../src/model.ts'
import { mergeDigests } from '../src/sync/content.ts'
import type { ByteBudget } from './byte-budget.ts'
import { type Branch, fanOut } from './fan-out.ts'

export interface Target {
  connector: Connector
  expect: Token | null
}

export interface TransferContext {
  catalog: Catalog
  budget: ByteBudget
  clock(): number
  signal: AbortSignal
  fence(): Promise<void>
  /** Told of bytes of large objects as they go out, to each target; and, negative, when that write
   *  has ended: then they are its outcome's. */
  sending(bytes: number): void
}

/** Where the content is read: pinned, at a replica or in the vault. */
export interface Origin {
  /** For errors: the location's name. */
  name: string
  carriesMetadata: boolean
  open(signal: AbortSignal): Promise<ReadResult>
  /** The entry, where a target in the same store may copy it by itself. */
  entry: { connector: Connector; key: Key; token: Token } | null
}

/** A replica's entry, pinned to its token. */
export function originAt(connector: Connector, key: Key, token: Token): Origin {
  return {
    name: connector.name,
    carriesMetadata: connector.traits.carriesMetadata,
    open: (signal) => connector.read(key, token, undefined, { signal }),
    entry: { connector, key, token },
  }
}

/** What a target holds now, and what is known of its content. */
export interface Written {
  token: Token
  content: Content
}

/** What the source can't give fails the item, what a target refuses fails that target alone. */
export class SourceError extends Error {
  override name = 'SourceError'
  readonly failure: StoreError
  constructor(failure: StoreError) {
    super(failure.message)
    this.failure = failure
  }
}

/** Gives, per target in their order, what was written or why not. Throws `SourceError`. */
export async function transfer(
  item: PlanItem,
  source: Origin,
  targets: Target[],
  context: TransferContext,
): Promise<(Written | StoreError)[]> {
  const content = item.head.content as Content
  const within = (target: Target) => canCopyWithin(source.entry?.connector, target.connector)
  const copies = targets.filter(within)
  const moves = targets.filter((target) => !within(target))
  const results = new Map<Target, Written | StoreError>()
  await Promise.all(
    copies.map(async (target) => {
      results.set(target, await outcomeOf(() => copyWithin(item, source, target, context)))
    }),
  )
  if (moves.length > 0) {
    const small = moves.every(({ connector }) => content.size <= connector.traits.partBytes)
    const move = small ? moveSmall : moveLarge
    for (const [target, result] of await move(item, source, moves, context)) {
      results.set(target, result)
    }
  }
  return targets.map((target) => results.get(target) as Written | StoreError)
}

async function copyWithin(
  item: PlanItem,
  source: Origin,
  target: Target,
  context: TransferContext,
): Promise<Written> {
  const content = item.head.content as Content
  const copy = target.connector.copyWithin as NonNullable<Connector['copyWithin']>
  const from = { ...(source.entry as NonNullable<Origin['entry']>), size: content.size }
  // What comes from the vault has none of its own that could go along.
  const metadata = source.carriesMetadata
    ? null
    : await metadataFor(item, undefined, source, target, context)
  const entry = await copy(item.key, from, target.expect, {
    ...(metadata && { metadata }),
    digests: content.digests,
    beforeCommit: context.fence,
    signal: context.signal,
  })
  return written(target.connector, item.key, entry, content)
}

// ── through this process ────────────────────────────────────────────────────────────────────────

async function moveSmall(
  item: PlanItem,
  source: Origin,
  targets: Target[],
  context: TransferContext,
): Promise<Map<Target, Written | StoreError>> {
  const release = await context.budget.take((item.head.content as Content).size)
  try {
    const { bytes, entry } = await readVerified(item, source, context)
    const digests = digestsOf(bytes)
    const problem = digestProblem((item.head.content as Content).digests, digests)
    if (problem) throw new SourceError(corrupt(source.name, item.key, problem))
    passed(item, digests)
    const results = await Promise.all(
      targets.map(
        async (target): Promise<[Target, Written | StoreError]> => [
          target,
          await outcomeOf(async () => {
            const metadata = await metadataFor(item, entry, source, target, context)
            const options = writeOptions(context, bytes.length, metadata, digests)
            const { connector, expect } = target
            const result = await connector.write(item.key, bytes, expect, options)
            return written(connector, item.key, result, { size: bytes.length, digests, metadata })
          }),
        ],
      ),
    )
    return new Map(results)
  } finally {
    release()
  }
}

async function readVerified(
  item: PlanItem,
  source: Origin,
  context: TransferContext,
): Promise<{ bytes: Uint8Array; entry: Entry }> {
  const { entry, body } = await openSource(source, context)
  const bytes = await wholeBody(body).catch((error) => Promise.reject(asSourceError(error)))
  const size = (item.head.content as Content).size
  if (bytes.length !== size) {
    const words = `${bytes.length} bytes came, ${size} were announced`
    throw new SourceError(corrupt(source.name, item.key, words))
  }
  return { bytes, entry }
}

/** One read for as many targets at a time as the budget has room for. */
async function moveLarge(
  item: PlanItem,
  source: Origin,
  targets: Target[],
  context: TransferContext,
): Promise<Map<Target, Written | StoreError>> {
  // In one order for all items: see `feed`.
  const left = targets.toSorted((a, b) => (a.connector.name < b.connector.name ? -1 : 1))
  const results = new Map<Target, Written | StoreError>()
  while (left.length > 0) {
    const group = left.splice(0, fitting(left, context.budget.total))
    for (const [target, result] of await feed(item, source, group, context)) {
      results.set(target, result)
    }
  }
  return results
}

/** How many of them, from the first, hold no more than `total` bytes together; at least one. */
function fitting(targets: Target[], total: number): number {
  let bytes = 0
  const beyond = targets.findIndex((target) => {
    bytes += inFlightBytes(target)
    return bytes > total
  })
  return beyond < 0 ? targets.length : Math.max(beyond, 1)
}

/** What a connector may hold of one stream: the parts that are under way. */
const inFlightBytes = ({ connector }: Target) => 4 * connector.traits.partBytes

async function feed(
  item: PlanItem,
  source: Origin,
  targets: Target[],
  context: TransferContext,
): Promise<[Target, Written | StoreError][]> {
  const bytes = targets.reduce((sum, target) => sum + inFlightBytes(target), 0)
  const release = await context.budget.take(bytes)
  try {
    const { entry, body } = await openSource(source, context)
    const stream = verifiedStream(body, item.head.content as Content, source.name, item.key)
    const branches = fanOut(stream.body, targets.length, context.sending)
    const writes: Promise<[Target, Written | StoreError]>[] = []
    for (const [i, target] of targets.entries()) {
      const branch = branches[i] as Branch
      const write = outcomeOf(() =>
        streamTo(item, { source, entry, stream, branch }, target, context),
      )
        .then((result): [Target, Written | StoreError] => [target, result])
        .finally(() => {
          branch.leave()
          context.sending(-branch.bytes())
        })
      // Looked at below, when all have ended.
      write.catch(() => undefined)
      writes.push(write)
      // A write waits for its turn at its store and, from then on, for the others' chunks. Begun
      // one by one, in one order, no two items can each have the turn that the other waits for.
      await branch.begun
    }
    await Promise.allSettled(writes)
    if (!stream.failure()) passed(item, stream.digests())
    return await Promise.all(writes)
  } finally {
    release()
  }
}

/** Known of the item from now on: a target whose reply was lost is recognised by it, though the
 *  source has moved on by then. */
function passed(item: PlanItem, digests: Content['digests']): void {
  const content = item.head.content as Content
  item.head = { ...item.head, content: mergeDigests(content, { ...content, digests }) }
}

interface Feed {
  source: Origin
  entry: Entry
  stream: ReturnType<typeof verifiedStream>
  branch: Branch
}

async function streamTo(
  item: PlanItem,
  { source, entry, stream, branch }: Feed,
  target: Target,
  context: TransferContext,
): Promise<Written> {
  const { connector, expect } = target
  const { size } = item.head.content as Content
  const metadata = await metadataFor(item, entry, source, target, context)
  const session = await sessionFor(connector.name, item.key, context)
  // The stream checks itself at its end: what throws there is never committed.
  const options = writeOptions(context, size, metadata, {})
  const result = await connector
    .write(item.key, branch, expect, { ...options, session })
    // However the connector words it: a stream that broke is the source's failure.
    .catch((error) => Promise.reject(stream.failure() ?? error))
  return written(connector, item.key, result, { size, digests: stream.digests(), metadata })
}

/** Hashes what passes, and throws at the end what doesn't match: then nothing is committed. */
function verifiedStream(
  body: AsyncIterable<Uint8Array>,
  content: Content,
  source: string,
  key: Key,
): { body: AsyncIterable<Uint8Array>; digests(): Content['digests']; failure(): unknown } {
  const digester = createDigester()
  let digests: Content['digests'] = {}
  let failure: unknown
  async function* stream(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of body) {
        digester.update(chunk)
        yield chunk
      }
      digests = digester.digest()
      const problem = digestProblem(content.digests, digests)
      if (problem) throw corrupt(source, key, problem)
    } catch (error) {
      failure = asSourceError(error)
      // In its own words: by its code a connector knows whether its parts are worth keeping.
      throw error
    }
  }
  return { body: stream(), digests: () => digests, failure: () => failure }
}

// ── small ones ──────────────────────────────────────────────────────────────────────────────────

async function openSource(source: Origin, { signal }: TransferContext): Promise<ReadResult> {
  try {
    return await source.open(signal)
  } catch (error) {
    throw asSourceError(error)
  }
}

/** What was decided on; where a listing didn't tell it, the source's, else what the target has. */
async function metadataFor(
  item: PlanItem,
  entry: Entry | undefined,
  source: Origin,
  target: Target,
  { signal }: TransferContext,
): Promise<Metadata> {
  const agreed = item.head.content?.metadata
  if (agreed) return agreed
  if (source.carriesMetadata && entry?.metadata) return entry.metadata
  if (target.expect === null || !target.connector.traits.carriesMetadata) return {}
  return (await target.connector.stat(item.key, { signal }))?.metadata ?? {}
}

function writeOptions(
  { signal, fence }: TransferContext,
  size: number,
  metadata: Metadata,
  digests: Content['digests'],
): WriteOptions {
  return { size, metadata, digests, beforeCommit: fence, signal }
}

async function sessionFor(location: string, key: Key, { catalog, clock }: TransferContext) {
  const state = (await catalog.getUpload(location, key)) ?? undefined
  const save = (next: string | null) => catalog.putUpload(location, key, next, clock())
  return { state, save }
}

/** What the store says it has now must be what was sent, as far as it says anything. */
function written(connector: Connector, key: Key, entry: Entry, sent: Content): Written {
  const problem =
    entry.size === sent.size
      ? digestProblem(sent.digests, entry.digests)
      : `${entry.size} bytes are there, ${sent.size} were sent`
  if (problem) throw corrupt(connector.name, key, problem)
  const metadata = sent.metadata ?? entry.metadata
  return {
    token: entry.token,
    content: {
      size: sent.size,
      digests: { ...entry.digests, ...sent.digests },
      ...(metadata ? { metadata } : {}),
    },
  }
}

async function outcomeOf(write: () => Promise<Written>): Promise<Written | StoreError> {
  try {
    return await write()
  } catch (error) {
    if (error instanceof StoreError && error.code !== 'cancelled') return error
    throw error
  }
}

function asSourceError(error: unknown): unknown {
  if (!(error instanceof StoreError) || error.code === 'cancelled') return error
  return new SourceError(error)
}

function corrupt(location: string, key: Key, problem: string): StoreError {
  return new StoreError('corrupt', problem, { location, operation: 'copy', key })
}
