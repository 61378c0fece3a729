import { relative } from 'node:path'
import {
  type Config,
  checkStateFolder,
  type DatasetConfig,
  loadConfig,
  nextTimes,
  replicasOf,
  scheduleInWords,
} from '../../config/index.ts'
import { EXIT } from '../../errors.ts'
import type { Strategy, StrategyRule } from '../../model.ts'
import type { CommandContext } from '../command.ts'
import { count, duration, type Output, time } from '../output.ts'

export async function run({ config: file, state, output }: CommandContext): Promise<number> {
  const config = await loadConfig(file)
  await checkStateFolder(config, state)
  const now = new Date()
  output.result({
    file: config.file,
    digest: config.digest,
    locations: Object.entries(config.locations).map(([name, { type }]) => ({ name, type })),
    datasets: config.datasets.map((dataset) => ({ ...dataset, ...scheduled(dataset, now) })),
    warnings: config.warnings,
  })
  print(config, now, output)
  return EXIT.ok
}

function print(config: Config, now: Date, output: Output): void {
  for (const warning of config.warnings) {
    output.line(`${output.paint('yellow', 'warning')} [${warning.code}]: ${warning.message}`)
    output.line(`  at:   ${warning.where}`)
    if (warning.next) output.line(`  next: ${warning.next}`)
  }
  for (const dataset of config.datasets) {
    const arrow = dataset.direction === 'two-way' ? '↔' : '→'
    const [source, ...destinations] = replicasOf(dataset)
    output.line(output.paint('bold', dataset.name) + (dataset.enabled ? '' : ' (not enabled)'))
    output.line(`  ${dataset.direction}: ${source} ${arrow} ${destinations.join(', ')}`)
    output.line(`  ${runsWhen(dataset, now)}`)
    output.line(`  ${rules(dataset)}`)
  }
  const file = relative(process.cwd(), config.file)
  const datasets = count(config.datasets.length, 'dataset')
  const locations = count(Object.keys(config.locations).length, 'location')
  output.line(`${output.paint('green', 'valid')}: ${file}, ${datasets}, ${locations}`)
}

function scheduled({ schedule }: DatasetConfig, now: Date) {
  if (schedule === null) return {}
  const next = nextTimes(schedule, 3, now).map((at) => at.toISOString())
  return { scheduleInWords: scheduleInWords(schedule), nextTimes: next }
}

function runsWhen({ mode, schedule }: DatasetConfig, now: Date): string {
  if (mode === 'manual' || schedule === null) return 'runs when you ask for it'
  const [next] = nextTimes(schedule, 1, now)
  const words = scheduleInWords(schedule)
  return `${words} (UTC)${next ? `; next ${time(next.getTime())}` : ''}`
}

function rules(dataset: DatasetConfig): string {
  const { include, exclude, limits } = dataset
  const holds = limits.deletes.map(({ count, percent }) => `${count} and ${percent} %`)
  const parts = [
    dataset.direction === 'two-way'
      ? `conflicts: ${dataset.rules.map(ruleWords).join(', then ')}`
      : `drift: ${dataset.drift}; deletes: ${dataset.delete}`,
    `deletes held above ${holds.join(', or ')}`,
    include.length > 0 ? `include ${include.join(' ')}` : '',
    exclude.length > 0 ? `exclude ${exclude.join(' ')}` : '',
    historyWords(dataset.history),
  ]
  return parts.filter((part) => part !== '').join('; ')
}

function ruleWords({ match, when, strategy, later }: StrategyRule): string {
  const which = [...match, when === null ? '' : `when ${Object.keys(when).join(', ')}`]
  const after = later && `, after ${duration(later.afterMs)} ${strategyWords(later.strategy)}`
  const words = [...which.filter((part) => part !== ''), strategyWords(strategy)].join(' ')
  return `${words}${after ?? ''}`
}

function strategyWords(strategy: Strategy): string {
  const ranks = strategy.name === 'prefer' ? ` ${strategy.ranks.flat().join(', ')}` : ''
  const next = 'otherwise' in strategy ? strategy.otherwise : undefined
  return `${strategy.name}${ranks}${next ? `, else ${strategyWords(next)}` : ''}`
}

function historyWords({ content, when, versions, keepMs }: DatasetConfig['history']): string {
  const keeps = keepMs === null ? 'for ever' : `${duration(keepMs)} after it was replaced`
  const most = versions === null ? '' : `, ${count(versions, 'version')} at most`
  const where = { vault: '', native: 'by the buckets’ own versions, else in the vault' }
  const what = content === 'off' ? 'without content' : where[content]
  const parts = [what, when === 'agreed' ? 'all that is agreed' : '', `kept ${keeps}${most}`]
  return `history: ${parts.filter((part) => part !== '').join(', ')}`
}
