/** A command that becomes a worker's process, and tells what it is then. */
import { becomeWorkerProcess } from '../../src/temporal/worker-process.ts'

const before = process.env.TEST_PID
process.env.TEST_PID ??= String(process.pid)
const is = becomeWorkerProcess()
const { execArgv, argv, env, pid } = process
const same = before === String(pid)
console.log(JSON.stringify({ is, same, execArgv, args: argv.slice(2), options: env.NODE_OPTIONS }))
