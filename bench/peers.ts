/** The two that are compared, on the same server: their configs, their buckets, Tidemark's server.
 * */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import type { S3Server } from '../test/servers.ts'
import type { Helper } from './measure.ts'

export interface Bench {
  folder: string
  s3: S3Server
  pairs: number
}

/** One-way datasets, as rclone copies: `up-N`, `over-N`, `large-N`, each into a bucket of its own.
 * */
export async function tidemarkConfig({ folder, s3, pairs }: Bench): Promise<void> {
  const { endpoint, region, accessKeyId, secretAccessKey } = s3
  const client = new S3Client({
    ...{ endpoint, region, forcePathStyle: true },
    credentials: { accessKeyId, secretAccessKey },
  })
  const locations: Record<string, unknown> = {
    folder: { type: 'file', path: './folder' },
    large: { type: 'file', path: './large' },
    nothing: { type: 'file', path: './cold' },
  }
  const datasets: unknown[] = []
  const add = async (name: string, source: string) => {
    const bucket = `t-${name}`
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
    locations[name] = {
      ...{ type: 's3', bucket, endpoint, region, 'path-style': true },
      ...{ 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey },
    }
    datasets.push({ name, source, destinations: [name] })
  }
  await add('cold', 'nothing')
  for (let pair = 0; pair < pairs; pair++) await add(`up-${pair}`, 'folder')
  for (let pair = 0; pair < pairs; pair++) await add(`over-${pair}`, 'up-0')
  for (let pair = 0; pair < pairs; pair++) await add(`large-${pair}`, 'large')
  client.destroy()
  writeFileSync(join(folder, 'tidemark.yaml'), JSON.stringify({ locations, datasets }))
}

/** `s3too` is the same server under another name: between two remotes rclone copies through itself.
 * */
export async function rcloneConfig({ folder, s3, pairs }: Bench): Promise<void> {
  const { endpoint, region, accessKeyId, secretAccessKey } = s3
  const client = new S3Client({
    ...{ endpoint, region, forcePathStyle: true },
    credentials: { accessKeyId, secretAccessKey },
  })
  for (let pair = 0; pair < pairs; pair++) {
    for (const name of ['up', 'over', 'through', 'large']) {
      await client.send(new CreateBucketCommand({ Bucket: `r-${name}-${pair}` }))
    }
  }
  client.destroy()
  const remote = (name: string) =>
    [
      `[${name}]`,
      ...['type = s3', 'provider = Other', 'force_path_style = true', `region = ${region}`],
      ...[`access_key_id = ${accessKeyId}`, `secret_access_key = ${secretAccessKey}`],
      `endpoint = ${endpoint}`,
    ].join('\n')
  writeFileSync(join(folder, 'rclone.conf'), `${remote('s3')}\n\n${remote('s3too')}\n`)
}

/** `tidemark up`; its helpers are the processes whose work counts as Tidemark's. */
export async function upServer(bin: string, folder: string) {
  const state = join(folder, 'state')
  const args = [bin, '--config', join(folder, 'tidemark.yaml'), '--state', state, 'up']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const ended = new Promise<void>((done) => child.once('close', () => done()))
  await new Promise<void>((ready, fail) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('Ctrl-C')) ready()
    })
    child.once('close', () => fail(new Error(`tidemark up ended: ${said}`)))
  })
  return {
    helpers(): Helper[] {
      const text = readFileSync(join(state, 'server.json'), 'utf8')
      const { pid, programs } = JSON.parse(text) as { pid: number; programs: Helper[] }
      return [{ name: 'up', pid }, ...programs]
    },
    async stop() {
      child.kill('SIGINT')
      await ended
    },
  }
}
