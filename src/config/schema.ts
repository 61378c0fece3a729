/**
 * The YAML's shape: zod is the one source for validation and for editors (`json-schema.ts`).
 * Strict keys, the YAML's own spellings; defaults are given in `build.ts`, where inheritance is.
 */
import { z } from 'zod'
import { locationOptions } from '../../connectors/options.ts'
import { patternRules } from '../sync/filter.ts'
import { conflictResolution } from './rules-schema.ts'
import { scheduleProblem } from './schedule.ts'
import { bandwidth, duration } from './units.ts'
import { name, pattern, word } from './words.ts'

const location = z.discriminatedUnion('type', [
  locationOptions.file,
  locationOptions.s3,
  locationOptions.gcs,
  locationOptions['azure-blob'],
  locationOptions.memory,
])

const schedule = z.string().superRefine((text, context) => {
  const problem = scheduleProblem(text)
  if (!problem) return
  const { message, next } = problem
  context.addIssue({ code: 'custom', message, params: { code: 'config-bad-schedule', next } })
})

const shared = {
  enabled: z.boolean().optional().describe('false: no Schedule is kept for it. Default: true.'),
  'conflict-resolution': conflictResolution
    .optional()
    .describe(
      'Who wins a two-way conflict: a strategy, or rules in order. Default: last-write-wins.',
    ),
  schedule: schedule
    .optional()
    .describe('Cron: minute, hour, day of month, month, day of week; in UTC.'),
  'batch-size': z.int().min(1).max(10_000).optional().describe('Keys in one step. Default: 1000.'),
}

const mode = word(['scheduled', 'manual'])
  .optional()
  .describe('Default: scheduled where the dataset has a schedule, else manual.')

const deleteLimit = z
  .strictObject({
    count: z.int().min(0).optional(),
    percent: z.number().min(0).max(100).optional(),
  })
  .refine((limit) => limit.count !== undefined || limit.percent !== undefined, {
    error: 'expected a count, a percent, or both',
  })
  .describe('Deletes are held above both; one that is not given counts as 0.')

const limits = z.strictObject({
  'max-deletes': z
    .union([z.int().min(0), deleteLimit, z.array(deleteLimit).min(1)], {
      error: 'expected a count, {count: 100, percent: 10}, or a list of such',
    })
    .optional()
    .describe(
      'In 24 hours; above it a run holds its deletes until `tidemark approve`. ' +
        'Default: more than 100 and 10 %, or more than 10 and 50 %.',
    ),
  bandwidth: bandwidth.optional().describe('At each location, such as 10MiB/s. Default: no limit.'),
  concurrency: z.int().min(1).max(1024).optional().describe('Transfers in flight.'),
})

const onOff = z.union([z.boolean(), z.enum(['on', 'off'])], { error: 'expected on or off' })

const history = z.strictObject({
  content: z
    .enum(['vault', 'native', 'off'])
    .optional()
    .describe(
      'native: by the buckets’ own versions where they are on, else in the vault. off: versions ' +
        'are noted, and content that no replica will hold is lost. Default: vault.',
    ),
  when: z
    .enum(['replaced', 'agreed'])
    .optional()
    .describe('agreed: every agreed content goes to the vault at once. Default: replaced.'),
  versions: z
    .int()
    .min(1)
    .optional()
    .describe('So many versions of a key, the present one included. Default: any number.'),
  keep: z
    .union([z.literal('forever'), duration], { error: 'expected a duration, as 90d, or forever' })
    .optional()
    .describe('So long after a version was replaced. Default: 90d.'),
  vault: onOff.optional().describe('off: the same as `content: off`.'),
})

const dataset = z.strictObject({
  name,
  source: name.describe('A location.'),
  destinations: z.array(name).min(1).describe('Locations.'),
  direction: word(['one-way', 'two-way'])
    .optional()
    .describe('two-way: all locations are equal. Default: one-way, source to destinations.'),
  'sync-mode': mode,
  ...shared,
  include: z.array(pattern).optional().describe(`Default: all keys. ${patternRules}`),
  exclude: z.array(pattern).optional().describe('Wins over include; the same patterns.'),
  delete: z
    .enum(['propagate', 'never'])
    .optional()
    .describe('never: a delete at a one-way source stays there. Default: propagate.'),
  drift: z
    .enum(['conflict', 'overwrite', 'keep'])
    .optional()
    .describe('What becomes of a one-way destination’s own change. Default: conflict.'),
  limits: limits.optional(),
  history: z
    .union([onOff, history], { error: 'expected on, off, or {content: vault, keep: 90d, …}' })
    .optional()
    .describe('What is kept of what was agreed, so that it can be had back. Default: on.'),
})

const temporal = z.strictObject({
  address: z
    .string()
    .regex(/^[^\s:/]+:\d{1,5}$|^\[[0-9a-f:]+\]:\d{1,5}$/i, { error: 'expected host:port' })
    .optional()
    .describe('host:port. Default: the embedded dev server.'),
  namespace: z.string().min(1).optional(),
  'task-queue': z.string().min(1).optional(),
  tls: z
    .union([
      z.boolean(),
      z
        .strictObject({
          'ca-file': z.string().min(1).optional(),
          'cert-file': z.string().min(1).optional(),
          'key-file': z.string().min(1).optional(),
          'server-name': z.string().min(1).optional(),
        })
        .refine((tls) => !tls['cert-file'] === !tls['key-file'], {
          error: 'cert-file and key-file belong together',
        }),
    ])
    .optional(),
  'api-key': z.string().min(1).optional(),
})

export const configSchema = z.strictObject({
  locations: z
    .record(name, location)
    .describe(`Named places. \${env:NAME} and \${file:PATH} stand for a variable and a file.`),
  synchronization: z
    .strictObject({ mode, ...shared })
    .optional()
    .describe('Defaults for every dataset.'),
  datasets: z.array(dataset).min(1).optional(),
  dataset: dataset.optional().describe('A single dataset, in place of `datasets`.'),
  catalog: z
    .url({ protocol: /^postgres(ql)?$/, error: 'expected a URL postgres://…' })
    .optional()
    .describe('A PostgreSQL URL. Default: SQLite in the state folder.'),
  vault: location.optional().describe('Where old content is kept. Default: the state folder.'),
  temporal: temporal.optional(),
})

export type ConfigDocument = z.infer<typeof configSchema>
export type DatasetDocument = z.infer<typeof dataset>
