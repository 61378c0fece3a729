/** What is wrong with a config: found together, reported together, each with its place. */
import { UserError } from '../errors.ts'

export interface Problem {
  /** Stable; `config-…`. */
  code: string
  message: string
  /** `tidemark.yaml:12:5`, by line and column, both from 1. */
  where: string
  next: string | undefined
}

/** One or several problems. With one, the error is that problem; with several its code is
 *  `config-invalid`, and `problems` holds them in the order of the file. */
export class ConfigError extends UserError {
  override name = 'ConfigError'
  readonly problems: Problem[]

  constructor(problems: Problem[]) {
    const [first, second] = problems
    if (!first) throw new Error('a ConfigError without a problem')
    const file = first.where.replace(/:\d+:\d+$/, '')
    const one = !second
    super(
      one ? first.code : 'config-invalid',
      one ? first.message : `${problems.length} problems in ${file}`,
      {
        where: one ? first.where : file,
        next: one
          ? (first.next ?? 'Mend it, then: tidemark validate')
          : 'Mend them, then: tidemark validate',
      },
    )
    this.problems = problems
  }
}

/** Where in the document something is: keys and indexes from its root. */
export type Path = readonly (string | number)[]

/** `datasets[0].limits`, for people. */
export function pathText(path: Path): string {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('')
  return text.replace(/^\./, '')
}
