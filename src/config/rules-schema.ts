/** `conflict-resolution` as it is written: a strategy's name, a rule, or a list of rules. */
import { z } from 'zod'
import { conflictNameProblem, conflictNameRules } from '../sync/strategies/conflict-name.ts'
import { byteSize, duration } from './units.ts'
import { name, pattern, word } from './words.ts'

/** Which options each strategy takes beside `strategy` itself. */
const optionsOf = {
  'last-write-wins': ['max-clock-skew', 'otherwise'],
  'first-write-wins': [],
  largest: [],
  smallest: [],
  prefer: ['prefer', 'otherwise'],
  'source-wins': ['otherwise'],
  'cloud-wins': ['otherwise'],
  'edge-wins': ['otherwise'],
  'update-wins': ['otherwise'],
  'delete-wins': ['otherwise'],
  'keep-both': ['as'],
  merge: ['format', 'lists', 'csv-key', 'max-size', 'otherwise'],
  crdt: ['fields', 'max-size', 'otherwise'],
  custom: ['module'],
  manual: [],
} as const

export type WrittenName = keyof typeof optionsOf

const names = Object.keys(optionsOf) as WrittenName[]

/** Those that say it all by their name. */
export const plainNames = names.filter((one) => one !== 'prefer' && one !== 'custom')

const oneOrMore = <T extends z.ZodType>(one: T) => z.union([one, z.array(one).min(1)])

const pointer = z.string().regex(/^(?:\/(?:[^~/]|~[01])*)+$/, {
  error: 'a field is named by a JSON pointer, as /a/b',
})

const template = z.string().superRefine((text, context) => {
  const problem = conflictNameProblem(text)
  if (!problem) return
  const message = `"${text}" is no name for a loser: ${problem}`
  context.addIssue({
    code: 'custom',
    message,
    params: { code: 'config-bad-name', next: conflictNameRules },
  })
})

const crdtType = word(['register', 'multi-value', 'set', 'counter', 'list', 'map'])

const choiceKeys = {
  strategy: word(names).optional().describe('How the conflict is decided.'),
  prefer: oneOrMore(name).optional().describe('Locations; the first that takes a side wins.'),
  'max-clock-skew': duration
    .optional()
    .describe('last-write-wins: a side that lies further ahead of the scan leaves it undecided.'),
  as: template.optional().describe(`keep-both: how losers are called. ${conflictNameRules}`),
  format: word(['auto', 'json', 'yaml', 'text', 'lines', 'csv'])
    .optional()
    .describe('merge. Default: auto, by the extension, else by the content type.'),
  lists: z
    .union([word(['ordered', 'union']), z.strictObject({ 'by-key': z.string().min(1) })], {
      error: 'expected ordered, union or {by-key: FIELD}',
    })
    .optional()
    .describe('merge: how lists in JSON and YAML merge. Default: ordered.'),
  'csv-key': oneOrMore(z.string().min(1))
    .optional()
    .describe('merge: the columns that name a row. Default: the first.'),
  'max-size': byteSize.optional().describe('merge, crdt: what is larger is left. Default: 2MiB.'),
  fields: z
    .record(pointer, crdtType)
    .optional()
    .describe('crdt: what fields are, by JSON pointer; * stands for any name.'),
  module: z
    .string()
    .min(1)
    .optional()
    .describe('custom: a module that exports a function; relative to this file.'),
  otherwise: z
    .lazy((): z.ZodType<WrittenName | WrittenChoice> => choice)
    .optional()
    .describe('What decides where this does not.'),
}

/** A strategy with its options. */
export interface WrittenChoice {
  strategy?: WrittenName | undefined
  prefer?: string | string[] | undefined
  'max-clock-skew'?: string | undefined
  as?: string | undefined
  format?: 'auto' | 'json' | 'yaml' | 'text' | 'lines' | 'csv' | undefined
  lists?: 'ordered' | 'union' | { 'by-key': string } | undefined
  'csv-key'?: string | string[] | undefined
  'max-size'?: string | number | undefined
  fields?: Record<string, z.infer<typeof crdtType>> | undefined
  module?: string | undefined
  otherwise?: WrittenName | WrittenChoice | undefined
}

/** What it is called; `prefer: […]` says it without `strategy`. */
export function nameOf(choice: WrittenChoice): WrittenName | undefined {
  return choice.strategy ?? (choice.prefer === undefined ? undefined : 'prefer')
}

const notOptions = ['strategy', 'match', 'when', 'auto-resolve-after']

function checkOptions(choice: WrittenChoice, context: z.RefinementCtx): void {
  const own = nameOf(choice)
  const say = (message: string, next: string, path: string[] = []) =>
    context.addIssue({ code: 'custom', message, path, params: { next } })
  if (own === undefined) {
    say('a rule has no `strategy`', `Add one of ${names.join(', ')}.`)
    return
  }
  for (const key of own === 'prefer' || own === 'custom'
    ? [own === 'prefer' ? 'prefer' : 'module']
    : []) {
    const given = choice[key as 'prefer' | 'module'] !== undefined
    if (!given) say(`\`strategy: ${own}\` has no \`${key}\``, `Add \`${key}:\`.`)
  }
  const allowed: readonly string[] = optionsOf[own]
  for (const key of Object.keys(choice)) {
    if (allowed.includes(key) || notOptions.includes(key)) continue
    const takers = names.filter((one) => (optionsOf[one] as readonly string[]).includes(key))
    const next = `It is an option of ${takers.join(', ')}.`
    say(`\`${key}\` says nothing to ${own}`, next, [key])
  }
}

const words = {
  error: `expected ${plainNames.join(', ')}, {strategy: …} or {prefer: [LOCATION, …]}`,
}

const choice: z.ZodType<WrittenName | WrittenChoice> = z.union(
  [word(plainNames), z.strictObject(choiceKeys).superRefine(checkOptions)],
  words,
)

const amounts = <T extends z.ZodType>(amount: T) =>
  z
    .strictObject({ 'at-least': amount.optional(), 'at-most': amount.optional() })
    .refine((bounds) => Object.keys(bounds).length > 0, {
      error: 'expected {at-least: …}, {at-most: …} or both',
    })
    .optional()

const when = z.strictObject({
  size: amounts(byteSize).describe('Of every side that has content.'),
  age: amounts(duration).describe('How long ago every side was written.'),
  replica: oneOrMore(name).optional().describe('One of these takes a side.'),
  'content-type': oneOrMore(
    z.string().regex(/^[^\s/]+\/[^\s/]+$/, { error: 'expected type/subtype or type/*' }),
  )
    .optional()
    .describe('Of every side: application/json, text/*.'),
  field: z
    .record(pointer, z.union([z.string(), z.number(), z.boolean(), z.null()]))
    .optional()
    .describe('What every side’s JSON has at these JSON pointers.'),
})

const rule = z
  .strictObject({
    match: oneOrMore(pattern).optional().describe('Keys, as in `include`. Default: all.'),
    when: when.optional().describe('All of it must hold.'),
    ...choiceKeys,
    'auto-resolve-after': z
      .strictObject({ after: duration, strategy: choice })
      .optional()
      .describe('What is left open so long is decided by that strategy.'),
  })
  .superRefine(checkOptions)

export const conflictResolution = z.union([word(plainNames), rule, z.array(rule).min(1)], words)

export type WrittenRule = z.infer<typeof rule>
export type WrittenRules = z.infer<typeof conflictResolution>
