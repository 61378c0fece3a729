/** The modules that decide conflicts: a changed module is a changed config. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { choicesIn } from './build-rules.ts'
import type { Path, Problem } from './problems.ts'
import { absolute } from './references.ts'
import type { WrittenRules } from './rules-schema.ts'
import type { ConfigDocument } from './schema.ts'
import type { ConfigSource } from './source.ts'

/** sha256 by absolute path, and those that can't be read. What a module imports isn't looked at. */
export async function readModules(
  document: ConfigDocument,
  source: ConfigSource,
): Promise<{ modules: Map<string, string>; problems: Problem[] }> {
  const modules = new Map<string, string>()
  const problems: Problem[] = []
  for (const { rules, path } of allRules(document)) {
    for (const { choice, path: at } of choicesIn(rules, path)) {
      if (choice.module === undefined) continue
      const file = absolute(choice.module, dirname(source.file))
      try {
        modules.set(
          file,
          createHash('sha256')
            .update(await readFile(file))
            .digest('hex'),
        )
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code
        if (!code) throw error
        problems.push({
          code: 'config-module',
          message: `the module ${choice.module} cannot be read: ${code}`,
          where: source.where([...at, 'module']),
          next: 'Give its path, relative to the config; Tidemark must be able to read it.',
        })
      }
    }
  }
  return { modules, problems }
}

/** Every `conflict-resolution` of the file. */
export function allRules({ synchronization, datasets = [], dataset }: ConfigDocument) {
  const key = 'conflict-resolution'
  const found: { rules: WrittenRules | undefined; path: Path }[] = [
    { rules: synchronization?.[key], path: ['synchronization', key] },
    { rules: dataset?.[key], path: ['dataset', key] },
    ...datasets.map((one, i) => ({ rules: one[key], path: ['datasets', i, key] as Path })),
  ]
  return found
}
