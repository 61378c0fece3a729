/**
 * docker-compose.yml without a Docker engine. Its form was checked against Compose's JSON schema
 * (compose-spec's schema/compose-spec.json) and by Compose's own loader, compose-go 2.10.2, which
 * `docker compose config` runs; here is what that doesn't know.
 */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { fakeGcsTool, versitygwTool } from '../scripts/tools.ts'
import { getTool, temporalTool } from '../src/temporal/binaries.ts'
import { connect } from '../src/temporal/connection.ts'
import { searchAttributeNames } from '../src/temporal/search-attributes.ts'
import { workerEnvironment, workerFlags } from '../src/temporal/worker-process.ts'
import { startTemporal } from './servers.ts'
import { temporaryFolder } from './temporal/folders.ts'

interface Service {
  image: string
  profiles?: string[]
  command?: string[]
  environment?: Record<string, string | null>
  healthcheck?: unknown
  restart?: string
  ports?: string[]
  depends_on?: Record<string, { condition: string }>
}

const rootFile = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url))
const text = readFileSync(rootFile('docker-compose.yml'), 'utf8')
const file = parse(text, { merge: true }) as {
  services: Record<string, Service>
  configs: Record<string, { content: string }>
}
const services = Object.entries(file.services)
const versionOf = (image: string) => image.slice(image.lastIndexOf(':') + 1)

describe('docker-compose.yml', () => {
  it('pins every image to a version', () => {
    for (const [name, { image }] of services) {
      expect(versionOf(image), name).toMatch(/^v?\d+\.\d+(\.\d+)?$/)
    }
    const dockerfile = readFileSync(rootFile('Dockerfile'), 'utf8')
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map((match) => match[1])
    const { dependencies } = JSON.parse(readFileSync(rootFile('package.json'), 'utf8'))
    expect(new Set(bases)).toEqual(new Set([`node:${dependencies.node}-bookworm-slim`]))
  })

  it('has the emulators that the tests run on, in the same versions, under a profile', () => {
    const emulators = services.filter(([, service]) => service.profiles?.includes('emulators'))
    const { devDependencies } = JSON.parse(readFileSync(rootFile('package.json'), 'utf8'))
    expect(
      Object.fromEntries(emulators.map(([name, { image }]) => [name, versionOf(image)])),
    ).toEqual({
      s3: `v${versitygwTool.version}`,
      gcs: fakeGcsTool.version,
      azure: devDependencies.azurite,
    })
  })

  it('has a health check on all that others wait for, and on every server', () => {
    const waitedFor = services.flatMap(([, { depends_on = {} }]) =>
      Object.entries(depends_on).flatMap(([name, { condition }]) =>
        condition === 'service_healthy' ? [name] : [],
      ),
    )
    for (const name of [...waitedFor, 's3', 'gcs', 'azure']) {
      expect(file.services[name]?.healthcheck, name).toBeDefined()
    }
  })

  it('holds no secret, and shows no port beyond this machine', () => {
    for (const [name, { environment = {}, ports = [] }] of services) {
      for (const port of ports) expect(port, name).toMatch(/^127\.0\.0\.1:/)
      for (const [variable, value] of Object.entries(environment)) {
        if (!/PASSWORD|PWD|SECRET|KEY|URL|CONNECTION/.test(variable) || value === null) continue
        expect(value, `${name}: ${variable}`).toMatch(/\$\{/)
      }
    }
  })

  it('gives Temporal the number of shards that can never be changed, and valid settings', () => {
    expect(file.services.temporal?.environment?.NUM_HISTORY_SHARDS).toBe('512')
    const settings = parse(file.configs['temporal-dynamic']?.content ?? '')
    const values = Object.values(settings) as { value: unknown }[][]
    expect(values.length).toBeGreaterThan(0)
    for (const [constrained] of values) expect(constrained).toHaveProperty('value')
  })

  it('has workers in the bounds of memory that those of the embedded server have', () => {
    const { NODE_OPTIONS, MALLOC_ARENA_MAX } = file.services.worker?.environment ?? {}
    expect(workerFlags).toContain(NODE_OPTIONS)
    expect(workerEnvironment()).toMatchObject({ MALLOC_ARENA_MAX })
  })

  it('names in its own text, and in the README, only services and profiles that are there', () => {
    const readme = existsSync(rootFile('README.md'))
      ? readFileSync(rootFile('README.md'), 'utf8')
      : ''
    const profiles = new Set(services.flatMap(([, service]) => service.profiles ?? []))
    const said = `${text}\n${readme}`
    for (const [, profile] of said.matchAll(/docker compose .*--profile (\w+)/g)) {
      expect([...profiles], `--profile ${profile}`).toContain(profile)
    }
    for (const [, service] of said.matchAll(
      /docker compose .*(?:--scale|run --rm|logs|exec) (\w+)/g,
    )) {
      expect(Object.keys(file.services), service).toContain(service)
    }
  })

  it('makes a namespace and our search attributes in a real server, once and again', async () => {
    const temporal = await startTemporal()
    onTestFinished(temporal.stop)
    const command = file.services['temporal-namespace']?.command?.[0] ?? ''
    // Compose's `$$` is the shell's `$`; `default` is there already in a dev server.
    const script = command.replaceAll('$$', '$').replaceAll('default', 'production')
    const program = await getTool(temporalTool, { report: () => {} })
    const folder = temporaryFolder()
    symlinkSync(program, join(folder, 'temporal'))
    const environment = {
      PATH: `${folder}:/usr/bin:/bin`,
      HOME: folder,
      TEMPORAL_ADDRESS: temporal.address,
    }
    for (const _ of ['once', 'again']) {
      await promisify(execFile)('/bin/sh', ['-euc', script], { env: environment })
    }
    const { connection, close } = await connect({
      address: temporal.address,
      namespace: 'production',
    })
    onTestFinished(close)
    const found = await connection.operatorService.listSearchAttributes({ namespace: 'production' })
    expect(Object.keys(found.customAttributes)).toEqual(
      expect.arrayContaining(searchAttributeNames),
    )
  })
})

it('LICENSE is the Apache License 2.0', () => {
  const license = readFileSync(rootFile('LICENSE'), 'utf8')
  expect(license).toContain('Version 2.0, January 2004')
  expect(license).toContain('The Tidemark Authors')
})
