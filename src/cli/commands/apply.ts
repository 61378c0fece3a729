import type { CommandContext, CommandOptions } from '../command.ts'
import { carryOutStored } from '../stored.ts'

/** Exactly that plan, or not at all. */
export async function run(
  context: CommandContext,
  [run]: string[],
  options: CommandOptions,
): Promise<number> {
  return await carryOutStored(context, run as string, 'apply', options.strict === true)
}
