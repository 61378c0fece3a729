/** The stage: servers for three clouds, the work folder, and the product's own server. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startAzure, startGcs, startS3 } from '../servers.ts'
import { getTools } from '../tools.ts'
import type { Places } from './changes.ts'
import { type Commands, createCommands, type Up } from './commands.ts'
import { azurePlace, folderPlace, gcsPlace, s3Place } from './places.ts'
import { type Contents, copySource, defaultSource, type SourceFile, sourceAt } from './source.ts'
import { command, say, step, tellSource } from './terminal.ts'
import { makeWorkFolder, type Servers, secretsOf, writeConfig } from './work.ts'

export interface Options {
  source: string | null
  work: string | null
  once: boolean
}

/** What the steps before have made. */
export interface Stage {
  work: string
  commands: Commands
  places: Places
  files: SourceFile[]
  /** What was copied: the dataset, before anything changed it. */
  copied: Contents
  up: Up
}

/** What is to be ended, the last one first; and whether the work folder is to be left. */
export interface Ending {
  steps: (() => unknown)[]
  keep: boolean
  work: string | null
}

export async function prepare(
  options: Options,
  signal: AbortSignal,
  ending: Ending,
): Promise<Stage> {
  const source = await (options.source === null
    ? defaultSource()
    : sourceAt(options.source, options.work))
  const work = await makeWorkFolder(options.work)
  ending.work = work
  ending.keep = options.work !== null
  ending.steps.push(() => ending.keep || rm(work, { recursive: true, force: true }))
  step('Four places: a folder, and a server for each cloud')
  await getTools()
  signal.throwIfAborted()
  const servers = await startServers(work, ending)
  const places: Places = {
    folder: folderPlace(join(work, 'core')),
    s3: s3Place(servers.s3),
    gcs: gcsPlace(servers.gcs),
    azure: azurePlace(servers.azure),
  }
  ending.steps.push(places.s3.close)
  for (const place of Object.values(places)) await place.make()
  const copied = await copySource(source, join(work, 'core'))
  tellSource(source)
  await writeConfig(work, servers)
  say(`config  ${join(work, 'tidemark.yaml')}`)
  const environment = { ...process.env, ...secretsOf(servers) }
  const commands = createCommands({ folder: work, environment, signal })
  command(['up'])
  const up = await commands.up()
  ending.steps.push(up.stop)
  say(`Temporal at ${up.address}, its Web UI at ${up.ui}`)
  return { work, commands, places, files: source.files, copied, up }
}

async function startServers(work: string, ending: Ending): Promise<Servers> {
  const kept = async <T extends { endpoint: string; stop(): Promise<void> }>(
    title: string,
    starting: Promise<T>,
  ): Promise<T> => {
    const server = await starting
    ending.steps.push(server.stop)
    say(`${title.padEnd(25)}${server.endpoint}`)
    return server
  }
  const starting = [
    kept('S3, by versitygw', startS3({ folder: join(work, 'servers', 's3') })),
    kept('GCS, by fake-gcs-server', startGcs()),
    kept('Azure, by Azurite', startAzure({ folder: join(work, 'servers', 'azure') })),
  ] as const
  // One that fails isn't told before all the others are known, and so will be ended.
  await Promise.allSettled(starting)
  const [s3, gcs, azure] = await Promise.all(starting)
  return { s3, gcs, azure }
}
