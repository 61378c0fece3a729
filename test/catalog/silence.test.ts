/** A PostgreSQL that doesn't answer any more holds nobody for ever. */
import { Kysely, sql } from 'kysely'
import { expect, inject, onTestFinished, test } from 'vitest'
import { postgresDialect } from '../../src/catalog/dialect-postgres.ts'

test('a statement without an answer is given up, and its connection with it', async () => {
  const db = new Kysely({ dialect: postgresDialect(inject('servers').postgres.url, 500) })
  onTestFinished(() => db.destroy())
  const pid = async () => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)
    return rows[0]?.pid
  }
  const before = await pid()
  await expect(sql`select pg_sleep(5)`.execute(db)).rejects.toMatchObject({
    code: 'catalog-unreachable',
  })
  expect(await pid()).not.toBe(before)
})
