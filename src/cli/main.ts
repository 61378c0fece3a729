/** The command line: global options, the table of commands, and how a process ends. */
import { resolve } from 'node:path'
import { Command, CommanderError } from 'commander'
import { variable } from '../config/environment.ts'
import { EXIT, UserError } from '../errors.ts'
import { packageVersion } from '../package-root.ts'
import type { CommandContext, CommandOptions, CommandRow } from './command.ts'
import { commands } from './commands.ts'
import { reportError } from './failure.ts'
import { type Interrupt, listenForInterrupt } from './interrupt.ts'
import { endWithNpm } from './npm.ts'
import { createOutput } from './output.ts'
import { person } from './person.ts'
import { relay } from './relay.ts'

/** Runs the command line and ends the process with its exit code (`EXIT`). */
export async function main(argv: string[]): Promise<void> {
  endQuietlyWithoutReader()
  const interrupt = listenForInterrupt()
  // Of no other script of npm's: that may leave us in the background on purpose.
  if (variable('npm_lifecycle_event') === 'npx') endWithNpm(interrupt.stop)
  const code = await run(argv, interrupt)
  await Promise.all([drained(process.stdout), drained(process.stderr)])
  process.exit(interrupt.signal.aborted ? EXIT.interrupted : code)
}

async function run(argv: string[], interrupt: Interrupt): Promise<number> {
  let code: number = EXIT.ok
  const program = createProgram()
  for (const row of commands) {
    addCommand(program, row, async (args, options) => {
      const context = contextOf(program.opts(), interrupt)
      const relayed = row.relayed ? await relay(context, row.name, args, options) : null
      code = relayed ?? (await (await row.load()).run(context, args, options))
    })
  }
  try {
    if (argv.length === 0) {
      process.stderr.write(program.helpInformation())
      return EXIT.usage
    }
    const given = argv[0] === '--version' ? ['-V', ...argv.slice(1)] : argv
    await program.parseAsync(given, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok
    const problem = error instanceof CommanderError ? usageError(error) : error
    return reportError(problem, { json: argv.includes('--json'), signal: interrupt.signal })
  }
}

function createProgram(): Command {
  return (
    new Command('tidemark')
      .description('Keeps a dataset the same in every place where it lives.')
      // Commands have a --version of their own: commander would take it for the program's.
      .version(packageVersion, '-V', 'the version (as the first word: --version, too)')
      .option('--config <file>', 'the config', './tidemark.yaml')
      .option('--state <dir>', 'the state folder', './.tidemark')
      .option('--temporal <address>', 'Temporal at host:port, in place of the embedded one')
      .option('--json', 'print JSON; errors too, on standard error')
      .configureHelp({ showGlobalOptions: true })
      .configureOutput({ outputError: () => {} })
      .exitOverride()
  )
}

function addCommand(
  program: Command,
  row: CommandRow,
  action: (args: string[], options: CommandOptions) => Promise<void>,
): void {
  const command = program.command(row.name).summary(row.summary).description(row.summary)
  for (const argument of row.args ?? []) command.argument(argument)
  for (const [flags, description] of row.options ?? []) command.option(flags, description)
  command.action((...given) => {
    // Commander gives a place to each declared argument, then the options, then the command.
    const args = (given.slice(0, -2) as (string | string[] | undefined)[]).flat()
    return action(
      args.filter((argument) => argument !== undefined),
      given.at(-2) as CommandOptions,
    )
  })
}

function contextOf(globals: CommandOptions, interrupt: Interrupt): CommandContext {
  const json = globals.json === true
  return {
    config: resolve(String(globals.config)),
    state: resolve(String(globals.state)),
    temporal: typeof globals.temporal === 'string' ? globals.temporal : null,
    json,
    by: person(),
    output: createOutput(json),
    signal: interrupt.signal,
  }
}

/** Commander's own words, which end in a guess where it has one. */
function usageError(error: CommanderError): UserError {
  const words = error.message.replace(/^error: /, '')
  const guess = /\n?\((Did you mean .*)\)$/s.exec(words)
  const code = usageCodes[error.code] ?? 'usage-invalid'
  return new UserError(code, words.slice(0, guess?.index).trim(), {
    next: guess?.[1] ?? 'See: tidemark --help',
  })
}

const usageCodes: Record<string, string> = {
  'commander.unknownCommand': 'usage-unknown-command',
  'commander.unknownOption': 'usage-unknown-option',
  'commander.excessArguments': 'usage-excess-arguments',
  'commander.missingArgument': 'usage-missing-argument',
  'commander.optionMissingArgument': 'usage-missing-argument',
}

/** `tidemark runs | head -1` isn't a failure. */
function endQuietlyWithoutReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok)
    throw error
  })
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((done) => stream.write('', () => done()))
}
