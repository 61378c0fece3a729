import {
  type Config,
  checkStateFolder,
  type DatasetConfig,
  loadConfig,
  replicasOf,
} from '../../config/index.ts'
import { EXIT, StoreError, UserError } from '../../errors.ts'
import { createLocations, type Locations } from '../../locations.ts'
import { compileFilter } from '../../sync/filter.ts'
import {
  differs,
  type Finding,
  type Place,
  parseSample,
  type Sample,
  total,
  type Verified,
  verifyReplicas,
} from '../../verify/verify.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { createJsonStream, type JsonStream } from '../json-stream.ts'
import { bytes, count, printable, type Style } from '../output.ts'
import { worstExit } from '../run-report.ts'
import { datasetsOf } from '../session.ts'

/**
 * Compares what the stores hold, each replica with the dataset's first; asks no catalog and no
 * Temporal. Extras at a destination are differences, in one direction as in two.
 */
export async function run(
  context: CommandContext,
  args: string[],
  options: CommandOptions,
): Promise<number> {
  const config = await loadConfig(context.config)
  await checkStateFolder(config, context.state)
  const how = howOf(options)
  const locations = createLocations()
  const exits: number[] = []
  try {
    const stream = createJsonStream(context.output)
    if (context.json) await context.output.write('[')
    for (const dataset of datasetsOf(config, args)) {
      if (context.json && exits.length > 0) await context.output.write(',')
      exits.push(await verifyDataset(context, config, dataset, locations, how, stream))
    }
    if (context.json) await context.output.write(']\n')
    return worstExit(exits)
  } finally {
    await locations.close()
  }
}

interface How {
  deep: boolean
  sample: Sample | null
  all: boolean
  strict: boolean
}

function howOf(options: CommandOptions): How {
  const { deep, sample: text } = options
  const flags = { deep: deep === true, all: options.all === true, strict: options.strict === true }
  if (text === undefined) return { ...flags, sample: null }
  const next = 'Write a number of keys (--sample 500) or a share of them (--sample 2%).'
  if (deep) throw new UserError('usage-invalid', '--deep reads all: there is no sample', { next })
  const sample = parseSample(String(text))
  if (sample) return { ...flags, sample }
  throw new UserError('usage-invalid', `--sample ${text} is no number of keys and no share`, {
    next,
  })
}

async function verifyDataset(
  context: CommandContext,
  config: Config,
  dataset: DatasetConfig,
  locations: Locations,
  how: How,
  stream: JsonStream,
): Promise<number> {
  const { output, signal } = context
  const names = replicasOf(dataset)
  output.line(
    output.paint('bold', `${dataset.name}: ${names.slice(1).join(', ')} against ${names[0]}`),
  )
  await stream.begin({ dataset: dataset.name, replicas: names }, 'lines')
  const progress = showProgress(context)
  const { places, failed } = await placesOf(config, names, locations)
  const verified = await verifyReplicas(places, {
    signal,
    selects: compileFilter(dataset.include, dataset.exclude),
    deep: how.deep,
    sample: how.sample,
    ...(dataset.limits.concurrency === null ? {} : { concurrency: dataset.limits.concurrency }),
    async onFindings(findings, soFar) {
      const told = findings.filter(({ letter }) => how.all || letter !== '=')
      if (told.length > 0) progress.clear()
      for (const finding of told) {
        await stream.item(finding)
        if (!output.json) await output.write(`${lineOf(finding, context)}\n`)
      }
      progress.show(soFar)
    },
  })
  progress.clear()
  verified.unreachable.push(...failed)
  const exit = exitOf(verified, how.strict)
  await stream.end({ ...verified, exit })
  print(context, names, verified)
  return exit
}

/** A location whose options can't be used is one that can't be reached. */
async function placesOf(config: Config, names: string[], locations: Locations) {
  const places: Place[] = []
  const failed: Verified['unreachable'] = []
  for (const name of names) {
    try {
      places.push({ name, connector: await locations.open(config, name) })
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      failed.push({ replica: name, code: error.code, message: error.message })
    }
  }
  return { places, failed }
}

/** By the order of the design: what couldn't be looked at weighs more than what differs. */
function exitOf(verified: Verified, strict: boolean): number {
  if (verified.unreachable.length > 0) return EXIT.unreachable
  if (total(verified, 'failed') > 0) return EXIT.partial
  if (strict && total(verified, 'skipped') > 0) return EXIT.partial
  return differs(verified) ? EXIT.differences : EXIT.ok
}

const colours: Record<Finding['letter'], Style> = {
  '=': 'dim',
  '+': 'yellow',
  '-': 'yellow',
  '*': 'red',
  '!': 'red',
  '~': 'dim',
}

function lineOf({ letter, key, replica, reason }: Finding, { output }: CommandContext): string {
  const words = reason === '' ? replica : `${replica}: ${printable(reason)}`
  return `${output.paint(colours[letter], letter)} ${printable(key)}  ${output.paint('dim', words)}`
}

function print({ output }: CommandContext, names: string[], verified: Verified): void {
  const [first = '', ...others] = names
  for (const { replica, code, message } of verified.unreachable) {
    output.line(`  ${replica} can't be reached: ${printable(message)} [${code}]`)
  }
  const headers = ['', 'same', 'missing', 'only here', 'different', 'failed', 'skipped']
  const rows = [first, ...others].flatMap((name) => {
    const counts = verified.replicas[name]
    if (!counts || (name === first && counts.skipped === 0 && total(verified, 'same') > 0))
      return []
    const { same, missing, extra, different, failed, skipped } = counts
    const numbers = [same, missing, extra, different, failed, skipped]
    return [[`  ${name}`, ...numbers.map((n) => n.toLocaleString('en-US'))]]
  })
  output.table(headers, rows, headers.slice(1))
  const spared = total(verified, 'bySizeAlone')
  const read = `${count(verified.read, 'object')} read (${bytes(verified.readBytes)})`
  output.line(`  ${count(verified.keys, 'key')} compared, ${read}`)
  if (spared > 0) output.line(`  ${count(spared, 'comparison')} by size alone: not in the sample`)
}

/** One line on standard error that is rewritten, where that is a terminal. */
function showProgress({ json }: CommandContext) {
  const shows = !json && process.stderr.isTTY
  let at = 0
  return {
    show({ keys, read, readBytes }: Verified) {
      if (!shows || performance.now() - at < 200) return
      at = performance.now()
      const line = `  ${count(keys, 'key')} compared, ${read} read (${bytes(readBytes)})`
      process.stderr.write(`\r\x1b[K${line}`)
    },
    clear() {
      if (shows) process.stderr.write('\r\x1b[K')
    },
  }
}
