/** rclone as a judge: whether two replicas hold the same, by reading everything. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rcloneTool } from '../../scripts/tools.ts'
import { findTool } from '../../src/temporal/binaries.ts'
import type { Place } from '../integration/places.ts'
import type { Servers } from './places.ts'

/** null: it isn't here, and a judge isn't worth building it. */
export const findRclone = (): string | null => findTool(rcloneTool)

export const rcloneMissing =
  'there is no rclone here (npm run tools -- --bench builds it): the foreign judge is not asked'

/** `= key`, `+ key` (missing at the second), `- key` (only there), `* key`, `! key`; sorted. */
export type Letters = string[]

/** `rclone check --download --combined -` of each with the first. */
export function rcloneJudge(rclone: string, servers: Servers, folder: string) {
  const config = join(folder, 'rclone.conf')
  writeFileSync(config, configOf(servers))
  return async (one: Place, other: Place): Promise<Letters> => {
    const args = ['check', remoteOf(one), remoteOf(other), '--download', '--combined', '-']
    const options = ['--config', config, '--exclude', '/.tidemark/**', '--retries', '1', '--quiet']
    // Else it takes the two Unicode forms of a name for one key, and compares one of them.
    options.push('--no-unicode-normalization')
    const { stdout, stderr } = await run(rclone, [...args, ...options])
    const lines = stdout.split('\n').filter((line) => line !== '')
    if (lines.length === 0 && stderr !== '') throw new Error(`rclone check: ${stderr}`)
    return lines.sort()
  }
}

/** Exits with 1 where it found differences, which is no error here. */
function run(command: string, args: string[]) {
  return new Promise<{ stdout: string; stderr: string }>((resolve, reject) => {
    const maxBuffer = 64 * 1024 * 1024
    execFile(command, args, { maxBuffer }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error)
      else resolve({ stdout, stderr })
    })
  })
}

function configOf({ s3, gcs, azure }: Servers): string {
  return [
    '[s3]',
    ...['type = s3', 'provider = Other', 'force_path_style = true', `region = ${s3.region}`],
    `access_key_id = ${s3.accessKeyId}`,
    ...[`secret_access_key = ${s3.secretAccessKey}`, `endpoint = ${s3.endpoint}`],
    '[gcs]',
    ...['type = google cloud storage', 'anonymous = true', 'bucket_policy_only = true'],
    ...[`endpoint = ${gcs.endpoint}/storage/v1/`, 'decompress = false'],
    '[azure]',
    ...['type = azureblob', `account = ${azure.account}`, `key = ${azure.accountKey}`],
    `endpoint = ${azure.endpoint}`,
    '',
  ].join('\n')
}

function remoteOf({ options }: Place): string {
  switch (options.type) {
    case 'file':
      return options.path
    case 's3':
      return `s3:${options.bucket}/${options.prefix}`
    case 'gcs':
      return `gcs:${options.bucket}/${options.prefix}`
    case 'azure-blob':
      return `azure:${options.container}/${options.prefix}`
    default:
      throw new Error(`rclone knows no ${options.type}`)
  }
}
