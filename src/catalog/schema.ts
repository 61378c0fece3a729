/**
 * The tables as Kysely sees them; `migrations.ts` makes them. Keys compare by UTF-8 bytes. JSON is
 * text: it is written and read whole, never searched. Flags are 0 and 1: SQLite has no booleans.
 */
import type { Generated } from 'kysely'
import type {
  AuditWhat,
  ConflictRecord,
  ItemState,
  RangeState,
  RequestRecord,
  RunCounts,
  RunRecord,
  VaultRecord,
} from './catalog.ts'

type Json = string
/** ms since the epoch. */
type Time = number

export interface Tables {
  /** `id`: null in version 1 alone. */
  catalog_version: { version: number; id: Generated<string | null> }
  counters: { name: 'dataset' | 'run' | 'conflict' | 'request'; value: number }
  configs: { digest: string; json: Json }
  locations: { name: string; identity: string; host: string | null }
  /** `live`: how many baseline rows have a head that isn't a tombstone. */
  datasets: { id: number; name: string; live: number }
  dataset_replicas: { dataset: number; replica: string }
  runs: RunsTable
  run_replicas: {
    run: number
    replica: string
    state: 'ok' | 'unknown'
    problem: Json | null
    seen: number
    gone: number
  }
  ranges: RangesTable
  /** The fences. `attempt`: who claimed last. */
  lanes: { run: number; lane: string; attempt: number }
  /** `body`: see baseline-body.ts. */
  baseline: { dataset: number; key: string; rev: number; live: number; body: string }
  versions: VersionsTable
  plan_items: ItemsTable
  conflicts: ConflictsTable
  uploads: { location: string; key: string; state: string; saved_at: Time }
  /** What a person asked for: the keys of a run that looks at those alone. */
  requests: RequestsTable
  request_keys: { request: number; key: string; directive: Json }
  vault_objects: VaultObjectsTable
  audit: AuditTable
}

export interface RequestsTable {
  id: number
  dataset: number
  kind: RequestRecord['kind']
  made_by: string
  made_at: Time
  body: Json
  /** 1: all of its keys are in `request_keys`. */
  selected: number
}

/** What the vault has. `vault`: the location's identity; `name`: the content's digest. */
export interface VaultObjectsTable {
  vault: string
  name: string
  /** The content's other digests, as far as they are known: it is found by them, too. */
  md5: string | null
  crc32c: string | null
  /** Bytes of the content, and bytes that it takes up. */
  size: number
  stored: number | null
  state: VaultRecord['state']
  used_at: Time
  place: Json
}

/** A chain a dataset, hash by hash. */
export interface AuditTable {
  dataset: number
  seq: number
  at: Time
  run: number | null
  key: string | null
  what: AuditWhat
  by: string
  detail: Json
  prev: string
  digest: string
}

export interface RunsTable extends RunCounts {
  run: number
  dataset: number
  mode: RunRecord['mode']
  trigger_kind: RunRecord['trigger']
  state: RunRecord['state']
  config_digest: string
  base: number | null
  started_at: Time
  ended_at: Time | null
  live_at_start: number
  problem: Json | null
  workflow_id: string
  temporal_run_id: string | null
  request: number | null
  made_by: string | null
  /** How many ranges it has: the next one's number. */
  range_count: number
}

export interface RangesTable {
  run: number
  number: number
  /** Bounds and cursor as JSON strings: a bound may be a key with a NUL behind it, which
   *  PostgreSQL's text can't hold. They are read whole, never compared in SQL. */
  from_key: Json | null
  to_key: Json | null
  cursor_key: Json | null
  resume: Json
  state: RangeState
  scanned: number
  /** How many items it has: the next one's place. */
  item_count: number
}

export interface VersionsTable {
  dataset: number
  key: string
  run: number
  /** A file's time may have fractions of a millisecond. */
  at: Time
  origin: string
  reason: string
  content: Json | null
  parents: Json
  agreed_at: Time
}

export interface ItemsTable {
  run: number
  seq: number
  range_number: number
  key: string
  state: ItemState
  tries: number
  rev: number
  content_key: string | null
  /** 1: it makes a key that wasn't there; with content_key it can excuse a delete. */
  creates: number
  item: Json | null
  conflict: Json | null
  outcomes: Json
}

export interface ConflictsTable {
  id: number
  dataset: number
  key: string
  identity: string
  kind: ConflictRecord['kind']
  state: ConflictRecord['state']
  conflict: Json
  opened_run: number
  opened_at: Time
  ended_run: number | null
  ended_at: Time | null
  resolution: Json | null
}
