/** What the vault has: a row a content, found by any of its digests. */
import { sql } from 'kysely'
import type { Content, Digests } from '../model.ts'
import { compareBytes, contentNames } from '../sync/content.ts'
import { compareKeys } from '../sync/keys.ts'
import type { VaultObjectsTable } from './schema.ts'
import { type ColumnType, inTransaction, overRows, type Store } from './store.ts'
import type { VaultObject, VaultPlace, VaultRecord } from './vault-index.ts'

/** A row that was used so short a time ago (ms) isn't written again: far less than what a
 *  collection leaves alone (`vaultGraceMs`). */
const useIsFreshMs = 5 * 60 * 1000

export async function catalogId({ db }: Store): Promise<string> {
  const { id } = await db.selectFrom('catalog_version').select('id').executeTakeFirstOrThrow()
  return id as string
}

// ── keeping and finding ─────────────────────────────────────────────────────────────────────────

/** In the transaction the rows are locked: who claims them waits, and then finds them in use. */
export async function keepInVault(
  store: Store,
  vault: string,
  objects: VaultObject[],
  at: number,
): Promise<VaultObject[]> {
  return await inTransaction(store, async (tx) => {
    const there = await candidates(
      tx,
      vault,
      objects.map(({ content }) => content),
    )
    const kept = objects.map(({ content }, i) =>
      // A crc32c proves nothing between two keys: such a content is put by its sha256.
      there[i]?.find((one) => provenSame(one.content, content)),
    )
    await use(
      tx,
      vault,
      kept.filter((one) => one !== undefined),
      at,
    )
    const made = new Map<string, VaultObject>()
    const wanted = new Map(
      objects.filter((_, i) => !kept[i]).map((object) => [object.name, object]),
    )
    for (const one of await upsert(tx, vault, [...wanted.values()], at)) made.set(one.name, one)
    return objects.map((object, i) => kept[i] ?? (made.get(object.name) as VaultObject))
  })
}

export async function findInVault(
  store: Store,
  vault: string,
  contents: Content[],
  at: number,
): Promise<VaultObject[][]> {
  return await inTransaction(store, async (tx) => {
    const there = await candidates(tx, vault, contents)
    const found = contents.map(
      (content, i) =>
        there[i]?.filter((one) => compareBytes(one.content, content) === 'same') ?? [],
    )
    await use(tx, vault, found.flat(), at)
    return found
  })
}

export async function placeInVault(
  store: Store,
  vault: string,
  objects: VaultObject[],
  at: number,
): Promise<void> {
  const placed = [...new Map(objects.map((object) => [object.name, object])).values()]
  await inTransaction(store, async (tx) => void (await upsert(tx, vault, placed, at, true)))
}

export async function wroteToVault(
  store: Store,
  vault: string,
  objects: VaultObject[],
): Promise<void> {
  await inTransaction(store, (tx) =>
    overRows(
      tx,
      { vault: 'text', name: 'text', place: 'text', stored: 'bigint' },
      byName(objects).map(({ name, place, stored }) => [
        ...[vault, name, JSON.stringify(place), stored],
      ]),
      (written) =>
        `update vault_objects set stored = r.stored from ${written}
         where vault_objects.vault = r.vault and vault_objects.name = r.name
           and vault_objects.place = r.place`,
    ),
  )
}

export async function markInVault(
  store: Store,
  vault: string,
  objects: VaultObject[],
  state: 'kept' | 'damaged',
): Promise<void> {
  await inTransaction(store, (tx) =>
    overRows(
      tx,
      { vault: 'text', name: 'text', place: 'text', state: 'text' },
      byName(objects).map(({ name, place }) => [vault, name, JSON.stringify(place), state]),
      (marked) =>
        `update vault_objects set state = r.state from ${marked}
         where vault_objects.vault = r.vault and vault_objects.name = r.name
           and vault_objects.place = r.place and vault_objects.state <> 'sweeping'`,
    ),
  )
}

function provenSame(a: Content, b: Content): boolean {
  const strong = ({ sha256, md5 }: Digests, other: Digests) =>
    (sha256 !== undefined && other.sha256 !== undefined) ||
    (md5 !== undefined && other.md5 !== undefined)
  return strong(a.digests, b.digests) && compareBytes(a, b) === 'same'
}

/** Kept rows that share a digest with each of the contents. */
async function candidates(tx: Store, vault: string, contents: Content[]): Promise<VaultRecord[][]> {
  const asked = {
    name: contents.flatMap(({ digests }, i) =>
      contentNames(digests).map((name) => [i, vault, name]),
    ),
    md5: contents.flatMap(({ digests: { md5 } }, i) => (md5 ? [[i, vault, md5]] : [])),
    crc32c: contents.flatMap(({ digests: { sha256, md5, crc32c } }, i) =>
      crc32c && !sha256 && !md5 ? [[i, vault, crc32c]] : [],
    ),
  }
  const found = contents.map(() => new Map<string, VaultRecord>())
  const lock = tx.engine === 'postgres' ? 'order by v.name for update of v' : ''
  for (const by of ['name', 'md5', 'crc32c'] as const) {
    const rows = await overRows<VaultObjectsTable & { place_of: number }>(
      tx,
      { place_of: 'bigint', vault: 'text', digest: 'text' },
      asked[by],
      (wanted) =>
        `select r.place_of, v.* from ${wanted}
         join vault_objects v on v.vault = r.vault and v.${by} = r.digest
         where v.state = 'kept' ${lock}`,
    )
    for (const { place_of: i, ...row } of rows) found[i]?.set(row.name, decode(row))
  }
  return found.map((rows) => [...rows.values()])
}

async function use(tx: Store, vault: string, objects: VaultObject[], at: number): Promise<void> {
  const names = [...new Set(objects.map(({ name }) => name))]
  await overRows(
    tx,
    { vault: 'text', name: 'text', used_at: 'bigint', stale: 'bigint' },
    names.map((name) => [vault, name, at, at - useIsFreshMs]),
    (used) =>
      `update vault_objects set used_at = r.used_at from ${used}
       where vault_objects.vault = r.vault and vault_objects.name = r.name
         and vault_objects.used_at < r.stale`,
  )
}

const columns: Record<string, ColumnType> = {
  ...({ vault: 'text', name: 'text', md5: 'text', crc32c: 'text' } as const),
  ...({ size: 'bigint', stored: 'bigint', state: 'text', used_at: 'bigint' } as const),
  place: 'text',
}
const columnNames = Object.keys(columns).join(', ')
const returned = Object.keys(columns)
  .map((name) => `vault_objects.${name} as ${name}`)
  .join(', ')

/** Who finds the name claimed or damaged, or made by somebody else meanwhile, gets what is kept
 *  now; unless this `replaces` it. */
async function upsert(
  tx: Store,
  vault: string,
  objects: VaultObject[],
  at: number,
  replaces = false,
): Promise<VaultObject[]> {
  const given = {
    md5: 'coalesce(excluded.md5, vault_objects.md5)',
    crc32c: 'coalesce(excluded.crc32c, vault_objects.crc32c)',
    stored: 'excluded.stored',
    place: 'excluded.place',
  }
  const unlessKept = Object.entries(given).map(
    ([column, value]) =>
      `${column} = case when vault_objects.state = 'kept' and not ${replaces}
         then vault_objects.${column} else ${value} end`,
  )
  const rows = await overRows<VaultObjectsTable>(
    tx,
    columns,
    rowsOf(vault, objects, 'kept', at),
    (added) =>
      `insert into vault_objects (${columnNames}) select ${columnNames} from ${added} where true
       on conflict (vault, name) do update
         set ${unlessKept.join(', ')}, state = 'kept', used_at = excluded.used_at
       returning *`,
  )
  return rows.map(decode)
}

/** Two transactions never wait for each other. */
const byName = (objects: VaultObject[]) => objects.toSorted((a, b) => compareKeys(a.name, b.name))

function rowsOf(vault: string, objects: VaultObject[], state: string, at: number) {
  return byName(objects).map(({ name, content: { size, digests }, stored, place }) => [
    ...[vault, name, digests.md5 ?? null, digests.crc32c ?? null],
    ...[size, stored, state, at, JSON.stringify(place)],
  ])
}

function decode(row: VaultObjectsTable): VaultRecord {
  const { name, size, stored, state, md5, crc32c } = row
  const sha256 = /^sha256\/..\/(.*)$/.exec(name)?.[1]
  const digests: Digests = {
    ...(sha256 && { sha256 }),
    ...(md5 && { md5 }),
    ...(crc32c && { crc32c }),
  }
  const place = JSON.parse(row.place) as VaultPlace
  return { name, content: { size, digests }, stored, place, state, usedAt: row.used_at }
}

// ── all of it ───────────────────────────────────────────────────────────────────────────────────

export async function vaultObjects(
  { db }: Store,
  vault: string,
  after: string | null,
  limit: number,
): Promise<VaultRecord[]> {
  const rows = await db
    .selectFrom('vault_objects')
    .selectAll()
    .where('vault', '=', vault)
    .$if(after !== null, (query) => query.where('name', '>', after as string))
    .orderBy('name')
    .limit(limit)
    .execute()
  return rows.map(decode)
}

export async function vaultObjectsNamed(
  store: Store,
  vault: string,
  names: string[],
): Promise<VaultRecord[]> {
  const rows = await overRows<VaultObjectsTable>(
    store,
    { vault: 'text', name: 'text' },
    names.map((name) => [vault, name]),
    (wanted) =>
      `select v.* from ${wanted} join vault_objects v on v.vault = r.vault and v.name = r.name`,
  )
  return rows.map(decode)
}

export async function vaultSizes({ db }: Store) {
  const rows = await db
    .selectFrom('vault_objects')
    .select('vault')
    .select((eb) => eb.fn.countAll<number>().as('objects'))
    .select(sql<number>`cast(coalesce(sum(size), 0) as bigint)`.as('bytes'))
    .select(sql<number>`cast(coalesce(sum(stored), 0) as bigint)`.as('stored'))
    .where('stored', 'is not', null)
    .groupBy('vault')
    .orderBy('vault')
    .execute()
  return rows
}

// ── collecting ──────────────────────────────────────────────────────────────────────────────────

export async function addToVault(
  store: Store,
  vault: string,
  objects: VaultObject[],
  state: VaultRecord['state'],
  at: number,
): Promise<string[]> {
  return await inTransaction(store, async (tx) => {
    const rows = await overRows<{ name: string }>(
      tx,
      columns,
      rowsOf(vault, objects, state, at),
      (added) =>
        `insert into vault_objects (${columnNames}) select ${columnNames} from ${added} where true
         on conflict do nothing returning name`,
    )
    return rows.map(({ name }) => name)
  })
}

export async function claimForSweep(
  store: Store,
  vault: string,
  names: string[],
  times: { usedBefore: number; claimedBefore: number; at: number },
): Promise<VaultObject[]> {
  const { usedBefore, claimedBefore, at } = times
  return await inTransaction(store, async (tx) => {
    const rows = await overRows<VaultObjectsTable>(
      tx,
      {
        ...({ vault: 'text', name: 'text', at: 'bigint' } as const),
        ...({ used: 'bigint', claimed: 'bigint' } as const),
      },
      names.toSorted(compareKeys).map((name) => [vault, name, at, usedBefore, claimedBefore]),
      (wanted) =>
        `update vault_objects set state = 'sweeping', used_at = r.at from ${wanted}
         where vault_objects.vault = r.vault and vault_objects.name = r.name
           and vault_objects.used_at <
             case when vault_objects.state = 'sweeping' then r.claimed else r.used end
         returning ${returned}`,
    )
    return rows.map(decode)
  })
}

export async function forgetSwept(
  store: Store,
  vault: string,
  objects: VaultObject[],
): Promise<void> {
  await inTransaction(store, (tx) =>
    overRows(
      tx,
      { vault: 'text', name: 'text', place: 'text' },
      byName(objects).map(({ name, place }) => [vault, name, JSON.stringify(place)]),
      (swept) =>
        `delete from vault_objects where state = 'sweeping'
           and (vault, name, place) in (select r.vault, r.name, r.place from ${swept})`,
    ),
  )
}
