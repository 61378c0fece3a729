/** What the vault asks of the catalog: the catalog is its index. */
import type { Conflict, Content, Directive, Key, RunNumber } from '../model.ts'
import type { Resolution } from './records.ts'

/** Where content lies: under a key of the vault's location; or, of a replica, in that version. */
export interface VaultPlace {
  key: Key
  version?: string
}

/** One content that the vault has. */
export interface VaultObject {
  /** `sha256/ab/abcd…`, else `md5/…`: by the strongest digest that was known when it was put. */
  name: string
  content: Content
  /** Bytes that it takes up: as many as the content has, or fewer where it is compressed. null: it
   *  is not known to have been written. */
  stored: number | null
  place: VaultPlace
}

export interface VaultRecord extends VaultObject {
  /** `sweeping`: a collection is about to remove what lies at its place. `damaged`: what lies there
   *  was read and isn't the content, so that nobody relies on it and the next put writes anew. */
  state: 'kept' | 'sweeping' | 'damaged'
  /** ms: when somebody last relied on it; of `sweeping`: when it was claimed. */
  usedAt: number
}

/** A line of history as far as collecting goes. */
export interface KeptLine {
  key: Key
  run: RunNumber
  content: Content | null
  /** ms: when it was agreed. */
  agreedAt: number
}

/** `vault`: the identity of its location; or of what keeps versions by itself, see `native.ts`. */
export interface VaultIndex {
  /** Names this catalog's part of a vault that another catalog may share. Never changes. */
  catalogId(): Promise<string>

  // ── what it has ──
  /** Says that these are relied on from `at` (ms) on. Gives, in their order, what is kept of each:
   *  what was there (the same sha256 or md5), else the object that was given. What is claimed by a
   *  collection isn't there any more: the given one takes its place. */
  keepInVault(vault: string, objects: VaultObject[], at: number): Promise<VaultObject[]>
  /** These were written, with so many bytes; where they lie there still. */
  wroteToVault(vault: string, objects: VaultObject[]): Promise<void>
  /** They lie at these places from now on, wherever they were said to lie before. */
  placeInVault(vault: string, objects: VaultObject[], at: number): Promise<void>
  /** All that may be these contents, by any digest, and is relied on from `at` on. More than one
   *  only where nothing but a crc32c is known of a content. */
  findInVault(vault: string, contents: Content[], at: number): Promise<VaultObject[][]>
  /** By name, behind `after`. */
  vaultObjects(vault: string, after: string | null, limit: number): Promise<VaultRecord[]>
  /** Those of these names. */
  vaultObjectsNamed(vault: string, names: string[]): Promise<VaultRecord[]>
  /** Of every vault that this catalog ever used. */
  vaultSizes(): Promise<{ vault: string; objects: number; bytes: number; stored: number }[]>

  /** What reading them found; not of what a collection has claimed, or lies elsewhere now. */
  markInVault(vault: string, objects: VaultObject[], state: 'kept' | 'damaged'): Promise<void>

  // ── collecting ──
  /** Adds those whose name isn't there; gives their names. */
  addToVault(
    vault: string,
    objects: VaultObject[],
    state: VaultRecord['state'],
    at: number,
  ): Promise<string[]>
  /** Claims those of these names that nobody relied on since `usedBefore`, and those that another
   *  collection claimed before `claimedBefore` and didn't end; gives them. */
  claimForSweep(
    vault: string,
    names: string[],
    times: { usedBefore: number; claimedBefore: number; at: number },
  ): Promise<VaultObject[]>
  /** What was claimed is removed. Where somebody put the content anew meanwhile, that stays. */
  forgetSwept(vault: string, objects: VaultObject[]): Promise<void>

  // ── what needs it ──
  datasetNames(): Promise<string[]>
  /** Keys from the last to the first, each newest line first, behind `after`. */
  historyLines(
    dataset: string,
    after: { key: Key; run: RunNumber } | null,
    limit: number,
  ): Promise<KeptLine[]>
  deleteLines(dataset: string, lines: { key: Key; run: RunNumber }[], by: string): Promise<void>
  /** Running, or waiting for a person: `planned`, `held`. */
  unfinishedRuns(): Promise<RunNumber[]>
  /** Open, or ended at `endedSince` (ms) or later; by id, behind `after`. */
  keptConflicts(
    endedSince: number,
    after: number,
    limit: number,
  ): Promise<{ id: number; dataset: string; conflict: Conflict; resolution: Resolution | null }[]>
  /** Of requests made at `madeSince` (ms) or later, or whose run isn't finished. */
  pendingDirectives(
    madeSince: number,
    after: { request: number; key: Key } | null,
    limit: number,
  ): Promise<{ request: number; key: Key; directive: Directive }[]>
}
