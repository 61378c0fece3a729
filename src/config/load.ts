/** Read → parse → resolve references → validate → build → check: a config, or all its problems. */
import { dirname } from 'node:path'
import type { LocationOptions } from '../../connectors/options.ts'
import { buildDataset, buildTemporal, withAbsolutePaths, withReferences } from './build.ts'
import { checkConfig, type Dataset } from './checks.ts'
import type { Config } from './config.ts'
import { configDigest } from './digest.ts'
import { problemsOf } from './issues.ts'
import { readModules } from './modules.ts'
import { ConfigError, type Path, type Problem } from './problems.ts'
import { tryReferences } from './references.ts'
import { type ConfigDocument, configSchema } from './schema.ts'
import { type ConfigSource, readSource } from './source.ts'

/**
 * The config at `path`. Throws a UserError `config-missing`, `config-unreadable` or
 * `config-not-utf8`; else a ConfigError with every problem found, each with its code and
 * `file:line:column`. References are resolved to be checked, and stay references in what is given.
 */
export async function loadConfig(path: string): Promise<Config> {
  const source = await readSource(path)
  const { document, failed } = await validate(source)
  if (!document) throw new ConfigError(inOrder(failed))
  const base = dirname(source.file)
  const { modules, problems } = await readModules(document, source)
  const datasets = datasetsOf(document, { base, modules, types: typesOf(document) })
  const config = build(document, datasets, source)
  const locations = withAbsolutePaths(document.locations as Config['locations'], base)
  const vault = document.vault ? withAbsolutePaths(document.vault as LocationOptions, base) : null
  const found = await checkConfig(document, locations, vault, datasets, source)
  problems.push(...found.problems)
  if (problems.length > 0) throw new ConfigError(inOrder(problems))
  return { ...config, warnings: inOrder([...source.warnings, ...found.warnings]) }
}

const referring = ['locations', 'catalog', 'vault', 'temporal']

/** The document with references resolved; or what is wrong with it. */
async function validate(
  source: ConfigSource,
): Promise<{ document: ConfigDocument | null; failed: Problem[] }> {
  const parts = referring.filter((key) => Object.hasOwn(source.raw, key))
  const written = Object.fromEntries(parts.map((key) => [key, source.raw[key]]))
  const { resolved, problems } = await tryReferences(written, dirname(source.file))
  const failed: Problem[] = problems.map(({ path, text, code, message, next }) => ({
    code,
    message,
    next,
    where: source.where(path, { text }),
  }))
  const result = configSchema.safeParse({ ...source.raw, ...resolved })
  if (result.success) return { document: failed.length > 0 ? null : result.data, failed }
  // What couldn't be resolved stands there unresolved, and may be no URL, say.
  const unresolved = new Set(problems.map(({ path }) => JSON.stringify(path)))
  const issues = result.error.issues.filter((issue) => !unresolved.has(JSON.stringify(issue.path)))
  return { document: null, failed: [...failed, ...problemsOf(issues, source)] }
}

function build(document: ConfigDocument, datasets: Dataset[], source: ConfigSource): Config {
  const base = dirname(source.file)
  const { raw } = source
  const config = {
    file: source.file,
    locations: withReferences(document.locations, raw.locations, base) as Config['locations'],
    catalog: withReferences(document.catalog ?? null, raw.catalog, base),
    vault: withReferences(document.vault ?? null, raw.vault, base) as LocationOptions | null,
    temporal: withReferences(buildTemporal(document.temporal), raw.temporal, base),
    datasets: datasets.map(({ built }) => built),
    warnings: [],
  }
  return { ...config, digest: configDigest(config) }
}

function typesOf({ locations }: ConfigDocument): Record<string, string> {
  return Object.fromEntries(Object.entries(locations).map(([name, { type }]) => [name, type]))
}

function datasetsOf(
  document: ConfigDocument,
  around: Parameters<typeof buildDataset>[2],
): Dataset[] {
  const defaults = document.synchronization ?? {}
  const listed = (document.datasets ?? []).map((written, index) => ({
    path: ['datasets', index] as Path,
    written,
  }))
  const single = document.dataset ? [{ path: ['dataset'] as Path, written: document.dataset }] : []
  return [...listed, ...single].map(({ path, written }) => ({
    path,
    written,
    built: buildDataset(written, defaults, around),
  }))
}

/** In the order of the file. */
function inOrder(problems: Problem[]): Problem[] {
  const place = ({ where }: Problem) => where.split(':').slice(-2).map(Number)
  return problems.toSorted((a, b) => {
    const [[lineA = 0, columnA = 0], [lineB = 0, columnB = 0]] = [place(a), place(b)]
    return lineA - lineB || columnA - columnB
  })
}
