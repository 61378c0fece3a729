import { configJsonSchema } from '../../config/index.ts'
import { EXIT } from '../../errors.ts'
import type { CommandContext } from '../command.ts'
import { createOutput } from '../output.ts'

/** Always JSON: there is no other form of it. */
export async function run(_context: CommandContext): Promise<number> {
  createOutput(true).result(configJsonSchema())
  return EXIT.ok
}
