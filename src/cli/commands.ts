/** The commands, in the order of the help. Each module is loaded when it is called. */
import type { CommandRow } from './command.ts'

const strict: [string, string] = ['--strict', 'exit 3 where a store cannot hold a key']

export const commands: CommandRow[] = [
  {
    name: 'init',
    summary: 'write a commented tidemark.yaml to start from',
    load: () => import('./commands/init.ts'),
  },
  {
    name: 'validate',
    summary: 'check the config; show its datasets, and their schedules in words',
    load: () => import('./commands/validate.ts'),
  },
  {
    name: 'doctor',
    summary: 'connect to each location, to Temporal and the catalog; name what is missing',
    options: [['--probe', 'write temporary keys at destinations, to see what protects them']],
    load: () => import('./commands/doctor.ts'),
  },
  {
    name: 'up',
    summary: 'start the embedded server: Temporal, a worker, and the Schedules of the config',
    options: [
      ['--port <port>', "Temporal's port (default: 7233, or a free one)"],
      ['--ui-port <port>', "the Web UI's port (default: 8233, or a free one)"],
      ['--workers <n>', 'worker processes (default: 1)'],
    ],
    load: () => import('./commands/up.ts'),
  },
  {
    name: 'worker',
    summary: 'serve as a worker for a Temporal that is elsewhere',
    load: () => import('./commands/worker.ts'),
  },
  {
    name: 'plan',
    summary: 'store what a sync would do, and show it: deletes and conflicts first',
    args: ['[datasets...]'],
    options: [strict],
    load: () => import('./commands/plan.ts'),
  },
  {
    name: 'apply',
    summary: 'carry out exactly that plan, or nothing',
    args: ['<run>'],
    options: [strict],
    load: () => import('./commands/apply.ts'),
  },
  {
    name: 'sync',
    summary: 'sync the named datasets, or all that are enabled',
    args: ['[datasets...]'],
    options: [strict],
    load: () => import('./commands/sync.ts'),
  },
  {
    name: 'approve',
    summary: 'carry out the deletes that a run held, each looked at again',
    args: ['<run>'],
    options: [strict],
    load: () => import('./commands/approve.ts'),
  },
  {
    name: 'schema',
    summary: 'print the JSON Schema of tidemark.yaml, for editors',
    load: () => import('./commands/schema.ts'),
  },
]
