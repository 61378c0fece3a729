/** `node lock-holder.ts STATE`: holds the folder as a server does; its child outlives it. */
import { spawn } from 'node:child_process'
import { lockState } from '../../src/temporal/lock.ts'
import { markOf } from '../../src/temporal/processes.ts'

const lock = await lockState(process.argv[2] ?? '')
const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' })
const programs = [markOf('temporal', child.pid as number)]
lock.announce({ address: '127.0.0.1:1', ui: 'http://127.0.0.1:2', ready: true, programs })
console.log(`child ${child.pid}`)
