import { existsSync } from 'node:fs'
import pg from 'pg'
import { describe, expect, inject, it } from 'vitest'
import { accepts } from '../src/temporal/program.ts'
import { startS3 } from './servers.ts'

describe('the servers of a test run', () => {
  const { s3, gcs, azure, postgres } = inject('servers')

  it('S3, GCS and Azure Blob answer', async () => {
    expect((await fetch(s3.endpoint)).status).toBe(403)
    const project = `${gcs.endpoint}/storage/v1/b?project=${gcs.projectId}`
    expect((await fetch(project)).status).toBe(200)
    expect((await fetch(`${azure.endpoint}?comp=list`)).status).toBe(403)
  })

  it('PostgreSQL lets a test file make a database of its own', async () => {
    const client = new pg.Client({ connectionString: postgres.url })
    await client.connect()
    await client.query('CREATE DATABASE of_its_own')
    await client.query('DROP DATABASE of_its_own')
    await client.end()
  })

  it('one that is stopped is gone, and so is its folder', async () => {
    const server = await startS3()
    const port = Number(new URL(server.endpoint).port)
    expect(await accepts(port)).toBe(true)
    await server.stop()
    expect(await accepts(port)).toBe(false)
    expect(existsSync(server.folder)).toBe(false)
  })
})
