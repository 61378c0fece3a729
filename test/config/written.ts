/** Configs for tests: written into folders of their own, and loaded. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type Config, ConfigError, loadConfig, type Problem } from '../../src/config/index.ts'
import { UserError } from '../../src/errors.ts'

/** A folder that goes when the test ends. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'tidemark-config-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

export function write(yaml: string | Uint8Array, dir = folder()): string {
  const file = join(dir, 'tidemark.yaml')
  writeFileSync(file, yaml)
  return file
}

export function load(yaml: string, dir = folder()): Promise<Config> {
  return loadConfig(write(yaml, dir))
}

/** What `loadConfig` refuses the YAML for. */
export async function refusals(yaml: string, dir = folder()): Promise<Problem[]> {
  const error = await load(yaml, dir).then(
    () => {
      throw new Error('the config was taken')
    },
    (reason: unknown) => reason,
  )
  if (error instanceof ConfigError) return error.problems
  if (!(error instanceof UserError)) throw error
  return [{ code: error.code, message: error.message, where: error.where ?? '', next: error.next }]
}

/** Sets a variable until the test ends; undefined unsets it. */
export function setVariable(name: string, value: string | undefined): void {
  const before = process.env[name]
  const set = (to: string | undefined) => {
    if (to === undefined) delete process.env[name]
    else process.env[name] = to
  }
  set(value)
  onTestFinished(() => set(before))
}

/** `line:column` of the mark `«` in a text, and the text without it. */
export function marked(text: string): { text: string; place: string } {
  const before = text.split('«')[0] ?? ''
  if (before === text) throw new Error('no « in the text')
  const lines = before.split('\n')
  const column = (lines.at(-1)?.length ?? 0) + 1
  return { text: text.replace('«', ''), place: `${lines.length}:${column}` }
}

/** A dataset in four places, with every kind of store. */
export const sample = `locations:
  platform-core:  { type: file, path: ./data/core }
  platform-aws:   { type: s3, bucket: acme, prefix: config/, region: us-east-1,
                    endpoint: "http://127.0.0.1:7070", path-style: true,
                    access-key-id: "\${env:AWS_ACCESS_KEY_ID}",
                    secret-access-key: "\${env:AWS_SECRET_ACCESS_KEY}" }
  platform-gcp:   { type: gcs, bucket: acme, prefix: config/,
                    endpoint: "http://127.0.0.1:4443", anonymous: true }
  platform-azure: { type: azure-blob, container: acme, prefix: config/,
                    connection-string: "\${env:AZURE_STORAGE_CONNECTION_STRING}" }
synchronization: { conflict-resolution: last-write-wins, batch-size: 1000 }
datasets:
  - { name: platform-config, source: platform-core,
      destinations: [platform-aws, platform-gcp, platform-azure],
      direction: two-way, sync-mode: scheduled, schedule: "0 */6 * * *" }
`

export function setSampleVariables(): void {
  setVariable('AWS_ACCESS_KEY_ID', 'an-id')
  setVariable('AWS_SECRET_ACCESS_KEY', 'a-secret')
  setVariable('AZURE_STORAGE_CONNECTION_STRING', 'UseDevelopmentStorage=true')
}
