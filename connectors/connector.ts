/**
 * The connector contract: what a store must do to be a location. Each promise here has a case in
 * `test/conformance/`. A connector knows nothing of datasets, baselines, retries or metrics.
 */
import type { Digests, Entry, Key, KeyRange, Metadata, Token } from '../src/model.ts'

/** Plain data about a store; a field exists only because the planner or the engine reads it. */
export interface Traits {
  /** false: the store can't make this write conditional, so it's reported as "not protected". */
  conditionalCreate: boolean
  conditionalOverwrite: boolean
  conditionalDelete: boolean
  /** The store itself can start a listing in the middle; else ranges share one lister. */
  listStart: boolean
  /** Which digests a listing brings along. */
  listingDigests: (keyof Digests)[]
  /** Whether a listing brings metadata along, and whether the store can carry any at all. */
  listingMetadata: boolean
  carriesMetadata: boolean
  keys: KeyRules
  /** Largest object, bytes. */
  sizeMax: number
  /** Two locations with the same value can copy between each other by `copyWithin`; null: none. */
  copyDomain: string | null
  /** Where this location lies in its copy domain (bucket and prefix): what another connector's
   *  `copyWithin` puts before the key of a source that is here. Absent where there is no domain. */
  copyRoot?: string
  /** What a write that isn't buffered whole is cut into, bytes. */
  partBytes: number
}

/** Which keys a store can hold; checked by `keyProblem` in src/sync/keys.ts. */
export interface KeyRules {
  /** UTF-8 bytes of prefix and key together. */
  bytesMax: number
  /** UTF-8 bytes between two slashes (file systems: 255). */
  segmentBytesMax?: number
  /** Bytes of the location's prefix, which count against bytesMax. */
  prefixBytes: number
  /** No empty segment, no `.` or `..`, no leading or trailing slash, no NUL. */
  pathLike: boolean
  /** Names that start so are ours or the store's own: never listed, never written. */
  reservedPrefix?: string
  /** What this store alone forbids, as the source of a RegExp (flag `u`), with its reason. */
  forbidden?: { pattern: string; reason: string }
}

export interface Page {
  /** In key order, within the range; may be empty. */
  entries: Entry[]
  /** What lies there but can't be a key: symlinks, folder markers, names that aren't UTF-8; and
   *  folders that can't be read, with a slash at their end. Of what is below, nothing is said,
   *  but for what stands `alone`: an object that hides no other (a store's own one for a folder,
   *  one without a size), so that keys below it are listed like all others. No key is in both. */
  skipped: { key: Key; reason: string; alone?: true }[]
  /** Of a listing that begins in mid-folder, in its first page: what was skipped before that begin
   *  and hides keys behind it. `prefix` ends with a slash. Those keys are unknown, not absent. */
  hidden?: { prefix: Key; reason: string }[]
  /** Where the next page starts; absent on the last page, which alone means "ended well". */
  resume?: string
}

export interface CallOptions {
  signal: AbortSignal
}

export interface ReadResult {
  /** What is being read: its token is the one that was asked for. */
  entry: Entry
  /** Raw stored bytes: never decompressed, never transcoded. Throws `changed-meanwhile` instead of
   *  ending when the entry changed while it was read, `unavailable` when it is cut short. */
  body: AsyncIterable<Uint8Array>
}

/** Content to be written: whole in memory, or a stream that is read once. */
export type Body = Uint8Array | AsyncIterable<Uint8Array>

export interface WriteOptions extends CallOptions {
  /** Bytes that `body` has; another number is `corrupt` and writes nothing. */
  size: number
  metadata: Metadata
  /** Known digests of the whole content: the content is held against them, and they are sent along
   *  as checksums where the store checks them. None: the body itself throws where it isn't right.
   * */
  digests: Digests
  /** Called immediately before the one request that makes the write visible; when it throws,
   *  nothing is written. Here the engine checks its fence. */
  beforeCommit: () => Promise<void>
  /** An interrupted upload of the same key: `state` from an earlier attempt, or undefined. Parts
   *  that are there with the same digest aren't sent again. */
  session?: UploadSession
}

export interface UploadSession {
  state: string | undefined
  /** Durable when it returns. null: the upload ended, or was aborted. */
  save(state: string | null): Promise<void>
}

/** A pinned entry elsewhere in the same copy domain. */
export interface CopySource {
  connector: Connector
  key: Key
  token: Token
  size: number
}

export interface CopyOptions extends Omit<WriteOptions, 'size' | 'session' | 'metadata'> {
  /** Absent: the source's goes along. */
  metadata?: Metadata
  /** Nobody writes other content under this key: where a copy by the store itself can't be
   *  conditional, it may be made without the condition. */
  ownKey?: true
}

export interface Connector {
  readonly name: string
  readonly traits: Traits

  /**
   * Says who this location is, after looking that its root exists and can be listed: a string that
   * stays the same as long as it's the same place (I12). Throws `root-missing` where bucket,
   * container or folder are gone. `create`: make the identity where the root exists without one
   * (a folder's `.tidemark/id`); never makes a root.
   */
  identity(options: CallOptions & { create: boolean }): Promise<string>

  /**
   * All entries with from ≤ key < to, by UTF-8 byte order, in pages. `resume` from an earlier page
   * goes on behind it. Fails with an error, never ends early: the page without `resume` is given
   * only when the store said that it was the last. A missing root is `root-missing`, never empty.
   */
  list(range: KeyRange, resume: string | undefined, options: CallOptions): AsyncIterable<Page>

  /** The entry, with metadata and all digests that the store keeps; null only for a definite
   *  absence: `denied`, `unavailable` and a missing root are errors. */
  stat(key: Key, options: CallOptions): Promise<Entry | null>

  /** Opens exactly the state that `token` names, or throws `changed-meanwhile` (`not-found` where
   *  the key is gone). `range`: bytes [start, end). */
  read(
    key: Key,
    token: Token,
    range: { start: number; end: number } | undefined,
    options: CallOptions,
  ): Promise<ReadResult>

  /**
   * Writes if the present state is `expect` (null: must not exist), else `changed-meanwhile` and
   * nothing is changed. The condition goes with the final commit. Bytes are verified by the store,
   * or read back. Memory: a few parts. All or nothing: no reader ever sees a part of it.
   * The answer's token is the one that the next listing shows.
   */
  write(key: Key, body: Body, expect: Token | null, options: WriteOptions): Promise<Entry>

  /** Removes if the present state is `expect`, else `changed-meanwhile` (`not-found` where there is
   *  none). `beforeCommit` as in write. */
  remove(
    key: Key,
    expect: Token,
    options: CallOptions & Pick<WriteOptions, 'beforeCommit'>,
  ): Promise<void>

  close(): Promise<void>

  /** Server-side copy, pinned to `source.token` and conditional on `expect`. Presence is the
   *  capability. */
  copyWithin?(
    key: Key,
    source: CopySource,
    expect: Token | null,
    options: CopyOptions,
  ): Promise<Entry>

  /** Drops what an interrupted write left behind (parts, blocks, temporary files). */
  abortUpload?(key: Key, state: string, options: CallOptions): Promise<void>

  /** The store may keep states that were overwritten or removed. Presence is the capability;
   *  whether this bucket does so is said by `keep`. */
  readonly versions?: Versions
}

/** States of a key by the store's own names for them: S3's and Azure's version ids, GCS's
 *  generations. Removed by the store's own rules alone, never by us. */
export interface Versions {
  /**
   * The name of exactly the state that `token` names, which stays readable by it when the key is
   * overwritten or removed; null: this bucket keeps no such states, or none that we may read.
   * Throws `changed-meanwhile` (`not-found` where the key is gone) where it isn't the present one.
   */
  keep(key: Key, token: Token, options: CallOptions): Promise<string | null>
  /** null only where it is definitely not there any more. */
  stat(key: Key, version: string, options: CallOptions): Promise<Entry | null>
  /** The whole of it; throws `not-found` where it is gone. */
  read(key: Key, version: string, options: CallOptions): Promise<ReadResult>
}

/** Whether what is at `from` can go to `to` by `copyWithin`, past everybody's memory. */
export function canCopyWithin(from: Connector | undefined, to: Connector): boolean {
  const domain = from?.traits.copyDomain ?? null
  return domain !== null && domain === to.traits.copyDomain && to.copyWithin !== undefined
}

/** Options that every connector's factory gets beside its own. */
export interface ConnectorContext {
  /** The location's name, for errors. */
  name: string
  /** Concurrency the engine will use at most: sizes connection pools. */
  concurrency: number
  /** Bytes above which writes go in parts, and their size; small in tests. */
  partBytes: number
  /** Keys a listing's page is asked for at most, instead of `listPageKeys`; small in tests. */
  pageKeys?: number
}
