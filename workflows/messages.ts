/**
 * What crosses Temporal: references and counts alone (I10). No keys, no bounds, no content, no
 * secrets: those live in the catalog, under the numbers that are named here.
 */
import { defineSearchAttributeKey } from '@temporalio/common'
import { defineQuery, defineSignal } from '@temporalio/workflow'
import type { ScanResult } from '../activities/index.ts'
import type { RunMode, RunState, RunTrigger } from '../src/catalog/catalog.ts'

/** What starts a run. `base`: the run whose stored items `apply` and `approve` carry out. */
export interface SyncInput {
  dataset: string
  mode: RunMode
  trigger: RunTrigger
  configDigest: string
  base: number | null
  /** user@host who asked for it; a Schedule has none. */
  by?: string
  /** What a person asked for: the run looks at the keys that it selects, and at no others. */
  request?: number
  /** The task queue of the activities: the host's own where the dataset has folders. */
  queue: string
  /** Set when the workflow continues as new: the run goes on where it was. */
  resumed?: Resumed
}

export interface Resumed {
  run: number
  /** The next range to start, and how many there are. */
  next: number
  known: number
  failed: number
  found: boolean
  paused?: boolean
}

export interface SyncResult {
  run: number
  state: RunState
}

export interface RangeInput {
  run: number
  range: number
  mode: RunMode
  queue: string
  /** Its first page, where the run has scanned that itself. */
  page?: ScanResult
  /** Set when it continues as new: whether the scan has ended. */
  scanned?: boolean
  found?: boolean
  paused?: boolean
}

export interface RangeResult {
  /** Whether anything was to be done in it, now or later. */
  found: boolean
}

export interface Progress {
  run: number | null
  phase: 'preparing' | 'ranges' | 'deletes' | 'finishing' | 'ended'
  paused: boolean
  rangesDone: number
  rangesKnown: number
}

export const pause = defineSignal('pause')
export const resume = defineSignal('resume')
/** From a range to its run: it was cut, and the rest is this range. */
export const rangeCut = defineSignal<[{ range: number }]>('rangeCut')
export const progress = defineQuery<Progress>('progress')

export const searchAttributes = {
  dataset: defineSearchAttributeKey('TidemarkDataset', 'KEYWORD'),
  mode: defineSearchAttributeKey('TidemarkMode', 'KEYWORD'),
  trigger: defineSearchAttributeKey('TidemarkTrigger', 'KEYWORD'),
  state: defineSearchAttributeKey('TidemarkState', 'KEYWORD'),
}
