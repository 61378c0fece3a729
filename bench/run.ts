/**
 * `npm run bench -- NAME [OPTIONS]`: every figure that the project claims comes from one of these.
 *
 *     speed     against rclone in pairs: first copies, unchanged re-syncs, one large object
 *               (`--only 4 --large 5120 --pairs 1`: 5 GiB in bounded memory)
 *     scan      1 and 5 million keys on two replicas against a full baseline: time and memory
 *     catalog   the catalog's hot methods, on SQLite or PostgreSQL
 *     history   runs with and without history, replicas and vault in one store
 *     many      100,000 open conflicts, and as many objects in the vault
 */
const names = ['speed', 'scan', 'catalog', 'history', 'many']
const [name = ''] = process.argv.splice(2, 1)
if (!names.includes(name)) {
  process.stderr.write(`which benchmark? One of: ${names.join(', ')}\n`)
  process.exit(2)
}
await import(`./${name}.ts`)
