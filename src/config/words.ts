/** What many keys of the config are made of: names, words, patterns. */
import { z } from 'zod'
import { patternProblem, patternRules } from '../sync/filter.ts'

export const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, {
  error: 'a name is 1 to 63 letters, digits, dots, dashes and underscores; first a letter or digit',
})

/** One of these words; underscores are taken for dashes. */
export function word<const T extends string>(values: readonly T[]) {
  const spelled = values.flatMap((value) => [value, value.replaceAll('-', '_')])
  return z
    .enum([...new Set(spelled)] as [string, ...string[]])
    .transform((value) => value.replaceAll('_', '-') as T)
}

export const pattern = z.string().superRefine((text, context) => {
  const problem = patternProblem(text)
  if (!problem) return
  const message = `"${text}" is no pattern: ${problem}`
  const params = { code: 'config-bad-glob', next: patternRules }
  context.addIssue({ code: 'custom', message, params })
})
