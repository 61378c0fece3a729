/**
 * `npm run chaos -- --minutes 10 [--seed S] [--still N] [--keep]`: a chaos session against real
 * servers, and what it came to. Exits with 1 where something that must hold doesn't. A seed gives
 * the same config, operations, weather and dice of every connection again; when they meet is the
 * machine's. `--still`: keys that nobody touches; `--keep`: its folder stays.
 */
import { parseArgs } from 'node:util'
import { startAzure, startGcs, startS3 } from '../servers.ts'
import { chaos } from './session.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_007) },
    still: { type: 'string', default: '1100' },
    keep: { type: 'boolean', default: false },
  },
})
const began = performance.now()
const say = (line: string) => {
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}`)
}
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
