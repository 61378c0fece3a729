import type { CommandContext, CommandOptions } from '../command.ts'
import { carryOutStored } from '../stored.ts'

/** The deletes that a run held: a new run of exactly those, each looked at again. */
export async function run(
  context: CommandContext,
  [run]: string[],
  options: CommandOptions,
): Promise<number> {
  return await carryOutStored(context, run as string, 'approve', options.strict === true)
}
