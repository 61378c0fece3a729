/** Every bound, with its reason. A number that two files must agree on stands here alone. */

export const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB

/** Keys in one range: about a second of listing, and one child workflow in Temporal's UI. */
export const rangeKeysMax = 10_000
/** A range that has grown to so many keys is cut by its scan, and the rest is a new range. */
export const rangeKeysCut = 15_000
/** Keys a store's listing page is asked for: the cap of S3's ListObjectsV2. */
export const listPageKeys = 1_000
/** Empty pages of a listing in a row, each with a new place to go on at: S3 gives some where many
 *  deleted versions lie. With more, it isn't believed to end. */
export const emptyPagesMax = 10_000
/** A store's answer that is no content (bytes): a page of 1,000 names, each with all the metadata
 *  that a store takes, escaped, is a quarter of it. */
export const answerBytesMax = 64 * MIB
/** Objects up to this size are read whole and written by one request; larger ones in parts.
 *  The quantum of memory: transfers in flight × this is what a worker may hold. */
export const partBytes = 8 * MIB
/** S3 allows 10,000 parts; `partBytesFor` grows the part so that an object fits. */
export const partsMax = 10_000
/** Bytes of content that one worker holds in memory at a time, over all transfers. */
export const bufferedBytesMax = 128 * MIB
/** Key-sized operations in flight in one apply activity. rclone is measured at 32. */
export const transfersMax = 32
/** Outcomes are committed together, at the latest after this long (ms). */
export const commitDelayMs = 100
/** Ranges of one run in flight (children of `syncDataset`). */
export const rangesInFlight = 8
/** Tries of one key's action in one run, before it is listed as failed. */
export const actionTriesMax = 4
/** Tries of a listing before its replica is left out of the run. */
export const listTriesMax = 3
/** An interrupted upload is kept this long (ms), for a run to go on with: stores charge for it. */
export const uploadsKeptMs = 24 * 60 * 60 * 1000
/** What an ended run did to which key is kept this long (ms): a first copy has as many lines as
 *  keys. The history of versions isn't touched. */
export const itemsKeptMs = 30 * 24 * 60 * 60 * 1000
/** The default of `history.keep` in the config: how long what was replaced can be had back (ms). */
export const historyKeptMs = 90 * 24 * 60 * 60 * 1000
/** What somebody relied on so short a time ago (ms) a collection of the vault leaves alone: longer
 *  than two hosts' clocks differ, and than what was put waits for the commit that names it. */
export const vaultGraceMs = 60 * 60 * 1000
/** A fence read from the catalog is good for this long (ms): the zombie's documented window. */
export const fenceCacheMs = 200
/** A file changed within this long (ms) of its stat may change again under the same token. */
export const unsettledMs = 2_000
/** S3 gives LastModified by the second, and a PUT's reply only Date: see `sameToken`. */
export const tokenAtToleranceMs = 2_000
/** The defaults of `limits.deletes` in the config (I3): more than both holds a run's deletes. */
export const deleteLimits = [
  { count: 100, percent: 10 },
  { count: 10, percent: 50 },
] as const
/** The rolling window over which deletes are counted (ms). */
export const deleteWindowMs = 24 * 60 * 60 * 1000
/** History length at which workflows continue as new: Temporal warns at 4,096 events. */
export const historyEventsMax = 4_000
/** Room on the state folder's disk, below which no server is started there and none is waited for:
 *  Temporal's file, the catalog and their logs grow by as much in a run of some 10,000 keys. */
export const stateBytesMin = 16 * MIB
/** Contents up to this size are merged, unless the rule says otherwise. YAML, the slowest, takes
 *  about 10 s and 500 MiB of heap for two sides and a base of this size: see the limits below. */
export const mergeBytesMax = 2 * MIB
/** Contents that are no larger together are merged where everything else runs, in up to half a
 *  second; larger ones in a thread, whose start takes as long as merging about so much. A heartbeat
 *  that is late by a few seconds makes Temporal think its attempt dead. */
export const mergeInlineBytesMax = 32 * KIB
/** A merge in a thread has this long (ms), and this much heap (MiB): more isn't decided. */
export const mergeMs = 60_000
export const mergeHeapMiB = 768
/** Such merges of one worker at a time: each takes a core, and memory. */
export const mergesInFlight = 2
/** Bytes of content that one worker holds for deciding conflicts. Beside `bufferedBytesMax`: no
 *  transfer waits for a long merge. */
export const decidingBytesMax = 64 * MIB
/** Contents up to this size are read for a condition on a JSON field, or shown to a module. */
export const peekBytesMax = MIB
/** A module that decides a conflict has this long (ms), and this much heap (MiB). */
export const customMs = 5_000
export const customHeapMiB = 64
/** Such modules at a time: each is a thread of its own. */
export const customInFlight = 2
