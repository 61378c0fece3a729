import { afterAll, beforeAll } from 'vitest'
import { s3World, versionedS3 } from '../connectors/s3-world.ts'
import { type Running, type S3Server, startS3 } from '../servers.ts'
import { conformance, type World } from './suite.ts'

let versioned: S3Server & Running
beforeAll(async () => {
  versioned = await startS3({ versions: true })
})
afterAll(() => versioned.stop())

async function make(): Promise<World> {
  const world = await s3World()
  const more: (() => Promise<void>)[] = []
  return {
    ...world,
    async keepingVersions() {
      const bucket = await versionedS3(versioned)
      more.push(bucket.close)
      return bucket
    },
    async close() {
      for (const close of [world.close, ...more]) await close()
    },
  }
}

conformance({ name: 's3 (versitygw)', make })
