/** The commands, in the order of the help. Each module is loaded when it is called. */
import type { CommandRow } from './command.ts'

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
    name: 'schema',
    summary: 'print the JSON Schema of tidemark.yaml, for editors',
    load: () => import('./commands/schema.ts'),
  },
]
