/** What a command is: a row in the table of `commands.ts`, and a module that is loaded to run. */
import type { Output } from './output.ts'

/** The global options, and the ways out. */
export interface CommandContext {
  /** Absolute path of the config file. */
  config: string
  /** Absolute path of the state folder. */
  state: string
  /** `--temporal`: goes before the config's address; null: not given. */
  temporal: string | null
  json: boolean
  /** `user@host`: who gave the command, also where a server runs it for them. */
  by: string
  output: Output
  /** Aborted by the first Ctrl-C, SIGTERM or SIGHUP. The exit code is then 130, whatever `run`
   *  answers or throws. A second one ends the process at once. */
  signal: AbortSignal
}

/** By commander's names: `--dry-run` is `dryRun`. */
export type CommandOptions = Record<string, string | boolean | string[] | undefined>

export interface CommandModule {
  /** `args`: the arguments that were given, in order. Gives the exit code (`EXIT`). */
  run(context: CommandContext, args: string[], options: CommandOptions): Promise<number>
}

export interface CommandRow {
  name: string
  summary: string
  /** As commander writes them: `<run>`, `[dataset]`, `[datasets...]`. */
  args?: string[]
  /** Flags as commander writes them, and what they do. */
  options?: [flags: string, description: string][]
  /** May be run by the server that is up on the state folder (relay.ts): it has everything loaded,
   *  and repeating it does no harm. */
  relayed?: true
  load(): Promise<CommandModule>
}
