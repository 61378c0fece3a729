/** `node embedded-holder.ts STATE CONFIG WORKER`: an embedded server, in a process of its own. */
import { startEmbedded } from '../../src/temporal/supervisor.ts'

const [stateDir = '', configPath = '', workerEntry = ''] = process.argv.slice(2)
await startEmbedded({ stateDir, configPath, workerEntry, log: console.error })
console.log('ready')
