/** The commands, in the order of the help. Each module is loaded when it is called. */
import type { CommandRow } from './command.ts'

const strict: [string, string] = ['--strict', 'exit 3 where a store cannot hold a key']

const takingBack: [string, string][] = [
  ['--plan', 'store the plan and show it, no more'],
  ['--yes', 'without asking'],
  ['--overwrite-later', 'also where something came later, which is kept first'],
]

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
    options: [['--probe', 'write temporary keys where runs write, to see what the store holds to']],
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
    summary: 'carry out exactly that plan; a key that changed meanwhile is left alone',
    args: ['<run>'],
    options: [strict],
    load: () => import('./commands/apply.ts'),
  },
  {
    name: 'sync',
    summary: 'sync the named datasets, or all that are enabled',
    args: ['[datasets...]'],
    options: [strict],
    relayed: true,
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
    name: 'conflicts',
    summary:
      'the inbox: list, history [DATASET], show ID, cat ID REPLICA, resolve [ID...], undo ID...',
    args: ['[action]', '[ids...]'],
    options: [
      ['--take <replica>', 'resolve: the side that this replica is on'],
      ['--content <file>', 'resolve: with the content of this file'],
      ['--strategy <name>', 'resolve: as this strategy decides'],
      ['--dataset <name>', 'only of this dataset'],
      ['--key <key>', 'only of this key'],
      ['--prefix <prefix>', 'only of keys that begin so'],
      ['--kind <kind>', 'only update/update, create/create, update/delete or drift'],
      ['--replica <name>', 'only where this replica has a side'],
      ['--only <state>', 'open (default), resolved, closed, or all (default of history)'],
      ['--since <time>', 'history: opened or ended since then (2026-01-31T09:05Z, "7d ago")'],
      ['--csv', 'history: as CSV'],
      ['--all', 'resolve: all that are open'],
      ['--overwrite-later', 'resolve: a side of a resolved one, although the key changed since'],
      ['--yes', 'resolve: without asking'],
    ],
    load: () => import('./commands/conflicts.ts'),
  },
  {
    name: 'status',
    summary: 'show where each dataset stands: last run, what runs now, what waits for you',
    args: ['[datasets...]'],
    load: () => import('./commands/status.ts'),
  },
  {
    name: 'runs',
    summary: 'list the runs, newest first',
    args: ['[dataset]'],
    options: [
      ['--limit <n>', 'so many (default: 20)'],
      ['--before <run>', 'those before this run'],
    ],
    load: () => import('./commands/runs.ts'),
  },
  {
    name: 'show',
    summary: 'show what a run did to which key, and why it did not; or a version (DATASET:KEY@RUN)',
    args: ['<run>'],
    options: [
      ['--only <states>', 'only these, separated by commas: done, failed, skipped, held, open, …'],
      ['--prefix <prefix>', 'only keys that begin so'],
    ],
    load: () => import('./commands/show.ts'),
  },
  {
    name: 'log',
    summary: 'list what was agreed, newest first: of a dataset, or of one key',
    args: ['<dataset>', '[key]'],
    options: [
      ['--limit <n>', 'so many (default: 20)'],
      ['--before <run>', 'those before this run, or behind this version'],
    ],
    load: () => import('./commands/log.ts'),
  },
  {
    name: 'cat',
    summary: 'write the bytes of a version (DATASET:KEY@RUN) to standard output',
    args: ['<version>'],
    load: () => import('./commands/cat.ts'),
  },
  {
    name: 'diff',
    summary: 'show what differs between two versions; exits with 5 where something does',
    args: ['<version>', '<other>'],
    load: () => import('./commands/diff.ts'),
  },
  {
    name: 'restore',
    summary: 'bring a dataset, or a part of it, back to what was agreed: plan, ask, carry out',
    args: ['<dataset>'],
    options: [
      ['--at <time>', 'as it was then: 2026-01-31T09:05Z, "2h ago"'],
      ['--before-run <run>', 'as it was when this run began'],
      ['--version <version>', 'one key, to this version (DATASET:KEY@RUN)'],
      ['--prefix <prefix>', 'only keys that begin so'],
      ...takingBack,
    ],
    load: () => import('./commands/restore.ts'),
  },
  {
    name: 'undo',
    summary: 'take back what a run agreed on: plan, ask, carry out',
    args: ['<run>'],
    options: [['--prefix <prefix>', 'only keys that begin so'], ...takingBack],
    load: () => import('./commands/undo.ts'),
  },
  {
    name: 'pause',
    summary: 'stop the run of a dataset until it is resumed; transfers under way begin again then',
    args: ['<dataset>'],
    load: () => import('./commands/pause.ts'),
  },
  {
    name: 'resume',
    summary: 'let a paused run go on',
    args: ['<dataset>'],
    load: () => import('./commands/resume.ts'),
  },
  {
    name: 'cancel',
    summary: 'end the run of a dataset in order, and wait for its end',
    args: ['<dataset>'],
    load: () => import('./commands/cancel.ts'),
  },
  {
    name: 'rebind',
    summary: 'a location is another place now, and that is meant: forget what it held',
    args: ['<location>'],
    options: [
      ['--forget', 'though it is the same place: what it lost is written to it again'],
      ['--yes', 'without asking'],
    ],
    load: () => import('./commands/rebind.ts'),
  },
  {
    name: 'verify',
    summary:
      'compare the replicas themselves, key by key (= same, + missing, - only there, * other)',
    args: ['[datasets...]'],
    options: [
      ['--deep', 'read everything'],
      ['--sample <n>', 'read so many keys, or 5%; the others are compared by their listings'],
      ['--all', 'list what is the same, too'],
      strict,
    ],
    load: () => import('./commands/verify.ts'),
  },
  {
    name: 'audit',
    summary:
      'what was decided, by whom, and whether it still is what was written: log, verify, sign',
    args: ['<action>', '[dataset]'],
    options: [
      ['--key <key>', 'log: only of this key; verify, sign: the file of the Ed25519 key'],
      ['--since <time>', 'log: since then (2026-01-31T09:05Z, "7d ago")'],
      ['--csv', 'log: as CSV'],
      ['--heads <location>', 'verify: against the signed heads at LOCATION[/PREFIX]'],
      ['--to <location>', 'sign: write the signed heads to LOCATION[/PREFIX]'],
    ],
    load: () => import('./commands/audit.ts'),
  },
  {
    name: 'vault',
    summary:
      'show what the vault has; gc: remove what history needs no more; check: is it all there; ' +
      'rebind: its folder is another one now',
    args: ['[action]'],
    options: [
      ['--dry-run', 'gc: only count'],
      ['--deep', 'check: read everything'],
    ],
    load: () => import('./commands/vault.ts'),
  },
  {
    name: 'schema',
    summary: 'print the JSON Schema of tidemark.yaml, for editors',
    load: () => import('./commands/schema.ts'),
  },
]
