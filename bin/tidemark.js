#!/usr/bin/env node
// The one file that an older Node may run: it finds Node 24 and hands over.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module, { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const self = fileURLToPath(import.meta.url)
const root = dirname(dirname(self))
const wanted = 24

if (Number.parseInt(process.versions.node, 10) >= wanted) await start()
else handOver(findNode())

async function start() {
  endWithParent()
  module.enableCompileCache?.()
  // The published package has only `dist`, since Node strips no types below node_modules; in a
  // checkout the sources go first, so that an old build is never run for the code that is there.
  const source = join(root, 'src', 'cli', 'main.ts')
  const entry = existsSync(source) ? source : join(root, 'dist', 'src', 'cli', 'main.js')
  const { main } = await import(pathToFileURL(entry).href)
  await main(process.argv.slice(2))
}

/** The npm package `node` is a dependency, and is a binary of the version that we want. */
function findNode() {
  try {
    const home = dirname(createRequire(self).resolve('node/package.json'))
    const binary = join(home, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
    if (existsSync(binary)) return binary
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error
  }
  process.stderr.write(
    `error [node-too-old]: Tidemark needs Node ${wanted}; this is ${process.versions.node}\n` +
      `  next: install Node ${wanted}, or the npm package \`node\` with its install script allowed\n`,
  )
  process.exit(2)
}

function handOver(binary) {
  const child = spawn(binary, [self, ...process.argv.slice(2)], {
    // The channel carries nothing: its end tells the child that this process is gone.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, TIDEMARK_HANDED_OVER: '1' },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // A terminal's Ctrl-C reaches the child by itself, a `kill` of this process doesn't. The child
    // takes two within an instant for one.
    process.on(signal, () => child.kill(signal))
  }
  child.once('error', (error) => {
    process.stderr.write(`error [node-failed]: ${binary}: ${error.message}\n`)
    process.exit(1)
  })
  child.once('exit', (code, signal) => {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

/** Whoever kills the process that they started (-9) means this one. */
function endWithParent() {
  const handedOver = process.env.TIDEMARK_HANDED_OVER === '1'
  delete process.env.TIDEMARK_HANDED_OVER
  if (!handedOver) return
  const end = () => process.kill(process.pid, 'SIGKILL')
  if (process.channel) {
    process.once('disconnect', end)
    process.channel.unref()
    return
  }
  // A worker, begun again in its process, which ended the channel.
  const parent = process.ppid
  setInterval(() => process.ppid === parent || end(), 1_000).unref()
}
