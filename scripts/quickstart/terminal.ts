/** The quickstart as a person reads it: numbered steps on standard output. */
import { bytes, count, createPaint, printable } from '../../src/cli/output.ts'
import type { Changes, Fate } from './changes.ts'
import { type Replicas, type Skipped, short } from './checks.ts'
import type { Contents, Source } from './source.ts'

const paint = createPaint(process.stdout)
let steps = 0

export function say(line: string): void {
  process.stdout.write(`   ${line}\n`)
}

export function step(title: string): void {
  process.stdout.write(`\n${paint('bold', `${++steps}  ${title}`)}\n`)
}

/** What is typed; its own output follows. */
export function command(args: string[]): void {
  process.stdout.write(`   ${paint('cyan', `$ tidemark ${args.join(' ')}`)}\n`)
}

export function tellSource({ title, files, bytes: size, skipped }: Source): void {
  say(`copied  ${count(files.length, 'file')} (${bytes(size)}) from ${printable(title)}`)
  if (skipped.size === 0) return
  const parts = [...skipped].map(([what, n]) => `${n.toLocaleString('en-US')} × ${what}`)
  say(`        not copied: ${parts.join(', ')}`)
}

export function tellChange(done: string, key: string): void {
  say(`${done.padEnd(21)}  ${printable(key)}`)
}

/** The key, what was done and is expected, and what each replica has of it. */
export function tellFate({ key, done, expected, content }: Fate, replicas: Replicas): void {
  say(`${done}: ${paint('bold', printable(key))}`)
  const found = [...replicas].map(([name, contents]) => {
    const has = contents.get(key) ?? null
    const mark = has === content ? paint('green', '✓') : paint('red', '✗')
    return `${name} ${has === null ? 'gone' : short(has)} ${mark}`
  })
  say(`   expected ${expected}: ${found.join('  ')}`)
}

/** `vault`: by the path in it. */
export function tellKept(kept: Changes['kept'], vault: Contents): void {
  say('Kept in the vault, since no place has it any more:')
  for (const { content, what } of kept) {
    const path = [...vault].find(([, found]) => found === content)?.[0]
    const mark = path === undefined ? paint('red', '✗') : paint('green', '✓')
    const where = path === undefined ? '' : paint('dim', `  vault/${path.slice(0, 24)}…`)
    say(`   ${mark} ${what}${where}`)
  }
}

export function tellContents(
  expected: Contents,
  replicas: Replicas,
  skipped: Skipped,
  differences: string[],
): void {
  const mark = differences.length === 0 ? paint('green', '✓') : paint('red', '✗')
  const number = (n: number) => n.toLocaleString('en-US')
  const read = [...replicas].map(([name, { size }]) => `${name} ${number(size)}`).join(', ')
  say(`${mark} read through the stores' own APIs: ${read} keys; ${number(expected.size)} expected`)
  for (const [name, keys] of skipped) {
    say(`  but for ${count(keys.size, 'key')} that ${name} can't hold, as Tidemark said`)
  }
  for (const line of differences) say(`  ${paint('red', printable(line))}`)
}

export function verdict(problems: string[], took: string): void {
  process.stdout.write('\n')
  if (problems.length === 0) {
    say(paint('green', `All held, in ${took}.`))
    return
  }
  say(paint('red', `FAILED, in ${took}: ${count(problems.length, 'thing')} did not hold`))
  for (const problem of problems) say(`- ${printable(problem)}`)
}

let progressAt = 0

/** One line on a terminal that is rewritten, now and then; null takes it away. */
export function progress(line: string | null): void {
  if (!process.stdout.isTTY || (line !== null && performance.now() - progressAt < 100)) return
  progressAt = performance.now()
  process.stdout.write(`\r\x1b[K${line === null ? '' : `   ${line}`}`)
}
