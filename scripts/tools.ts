/**
 * `npm run tools [-- --bench]`: finds, downloads or builds the servers that the quickstart and the
 * tests talk to. Temporal's is the product's own need: see src/temporal/binaries.ts.
 */
import { pathToFileURL } from 'node:url'
import { UserError } from '../src/errors.ts'
import {
  type GetOptions,
  getTool,
  goArch,
  type Tool,
  temporalTool,
} from '../src/temporal/binaries.ts'

/** goreleaser's title case of the systems, as both emulators' archives have it. */
const systems: Record<string, string> = { linux: 'Linux', darwin: 'Darwin' }

export const versitygwTool: Tool = {
  name: 'versitygw',
  version: '1.8.0',
  variable: 'TIDEMARK_VERSITYGW_BIN',
  goPackage: 'github.com/versity/versitygw/cmd/versitygw',
  release: (platform, arch) => {
    const system = systems[platform]
    const cpu = { x64: 'x86_64', arm64: 'arm64' }[arch]
    if (!system || !cpu) return null
    return {
      base: 'https://github.com/versity/versitygw/releases/download/v1.8.0',
      archive: `versitygw_v1.8.0_${system}_${cpu}.tar.gz`,
      checksums: 'checksums.txt',
    }
  },
}

export const fakeGcsTool: Tool = {
  name: 'fake-gcs-server',
  version: '1.56.1',
  variable: 'TIDEMARK_FAKE_GCS_BIN',
  goPackage: 'github.com/fsouza/fake-gcs-server',
  release: (platform, arch) => {
    const system = systems[platform]
    const cpu = goArch(arch)
    if (!system || !cpu) return null
    return {
      base: 'https://github.com/fsouza/fake-gcs-server/releases/download/v1.56.1',
      archive: `fake-gcs-server_1.56.1_${system}_${cpu}.tar.gz`,
      checksums: 'checksums.txt',
    }
  },
}

/** For `bench/` alone. */
export const rcloneTool: Tool = {
  name: 'rclone',
  version: '1.76.0',
  variable: 'TIDEMARK_RCLONE_BIN',
  goPackage: 'github.com/rclone/rclone',
  release: (platform, arch) => {
    const system = { linux: 'linux', darwin: 'osx' }[platform]
    const cpu = goArch(arch)
    if (!system || !cpu) return null
    return {
      base: 'https://downloads.rclone.org/v1.76.0',
      archive: `rclone-v1.76.0-${system}-${cpu}.zip`,
      checksums: 'SHA256SUMS',
    }
  },
}

export interface ToolPaths {
  temporal: string
  versitygw: string
  fakeGcs: string
}

const toStderr = (line: string) => void process.stderr.write(`${line}\n`)

/** One after the other: each build takes all cores and a gigabyte of memory. */
export async function getTools(options: GetOptions = { report: toStderr }): Promise<ToolPaths> {
  return {
    temporal: await getTool(temporalTool, options),
    versitygw: await getTool(versitygwTool, options),
    fakeGcs: await getTool(fakeGcsTool, options),
  }
}

export async function getRclone(options: GetOptions = { report: toStderr }): Promise<string> {
  return getTool(rcloneTool, options)
}

async function main(): Promise<void> {
  const paths: Record<string, string> = { ...(await getTools()) }
  if (process.argv.includes('--bench')) paths.rclone = await getRclone()
  for (const [name, path] of Object.entries(paths)) console.log(`${name.padEnd(10)} ${path}`)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main().catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error
    console.error(`${error.code}: ${error.message}\n${error.next ?? ''}`)
    process.exitCode = error.exit
  })
}
