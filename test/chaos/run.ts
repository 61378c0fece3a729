/**
 * `npm run chaos -- --minutes 10 [--seed S] [--still N] [--keep]`: a chaos session against real
 * servers, and what it came to. Exits with 1 where something that must hold doesn't. A seed gives
 * the same config, operations, weather and dice of every connection again; when they meet is the
 * machine's. `--still`: keys that nobody touches; `--keep`: its folder stays.
 *
 * `npm run chaos -- --unison 600 [--seed S]`: so many lists of operations, played by Unison too.
 */
import { numericOptions } from '../../scripts/options.ts'
import { startAzure, startGcs, startS3 } from '../servers.ts'
import { chaos } from './session.ts'
import { listOf, playList, unisonVersion } from './unison.ts'

const values = numericOptions({
  minutes: { type: 'string', default: '10' },
  seed: { type: 'string', default: String(Date.now() % 1_000_000_007) },
  still: { type: 'string', default: '1100' },
  keep: { type: 'boolean', default: false },
  unison: { type: 'string' },
})
const began = performance.now()
const say = (line: string) => {
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}`)
}
if (values.unison === undefined) await session()
else await askUnison(Number(values.unison))

async function session(): Promise<void> {
  const [s3, gcs, azure] = await Promise.all([startS3(), startGcs(), startAzure()])
  try {
    say(`seed ${values.seed}`)
    const { problems, figures, folder } = await chaos({
      seed: Number(values.seed),
      minutes: Number(values.minutes),
      still: Number(values.still),
      keep: values.keep,
      servers: { s3, gcs, azure },
      say,
    })
    console.log(JSON.stringify(figures, null, 2))
    if (problems.length > 0) {
      console.log(`${problems.length} problems with seed ${values.seed}; all of it is in ${folder}`)
      process.exitCode = 1
    } else console.log(`everything held (seed ${values.seed})${values.keep ? `: ${folder}` : ''}`)
  } finally {
    await Promise.all([s3, gcs, azure].map((server) => server.stop()))
  }
}

async function askUnison(lists: number): Promise<void> {
  const version = await unisonVersion()
  if (version === null) return say('there is no unison here (Debian has it): nothing is compared')
  const from = Number(values.seed)
  const sums = { lists, compared: 0, conflicts: 0, differences: 0 }
  for (let seed = from; seed < from + lists; seed++) {
    const { compared, conflicts, differences } = await playList(listOf(seed))
    sums.compared += compared
    sums.conflicts += conflicts
    sums.differences += differences.length
    for (const one of differences) console.log(JSON.stringify({ seed, ...one }, null, 2))
  }
  say(`${version}, seeds from ${from}: ${JSON.stringify(sums)}`)
}
