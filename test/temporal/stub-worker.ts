/** Stands in for src/worker.ts: logs what it was started with; its config says whether it works. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { state: text, temporal: text, config: text } })
console.log(`started ${process.pid} ${JSON.stringify(values)}`)
if (readFileSync(values.config ?? '', 'utf8') === 'broken') {
  console.error('this worker can not work')
  process.exit(3)
}
process.on('disconnect', () => process.exit(1))
process.on('SIGTERM', () => {
  console.log(`asked to end ${process.pid}`)
  process.exit(0)
})
process.send?.({ ready: true })
