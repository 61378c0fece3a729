import { writeFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { EXIT, UserError } from '../../errors.ts'
import type { CommandContext } from '../command.ts'

/** Writes the starter config to `--config`; refuses where something is there. */
export async function run({ config, output }: CommandContext): Promise<number> {
  const name = relative(process.cwd(), config)
  try {
    await writeFile(config, starter, { flag: 'wx' })
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EEXIST') {
      throw new UserError('init-exists', `${name} is there already`, {
        where: name,
        next: 'Look at it with: tidemark validate; or write another: tidemark init --config FILE',
      })
    }
    throw new UserError('init-unwritable', `${name} cannot be written: ${code}`, {
      where: name,
      next: 'Name a place where you may write: tidemark init --config FILE',
      cause: error,
    })
  }
  output.result({ written: config })
  output.line(`wrote ${name}`)
  output.line('next: edit it, then: tidemark validate, tidemark doctor, tidemark plan')
  return EXIT.ok
}

const starter = `# Tidemark keeps a dataset the same in every place where it lives.
# Check this file: tidemark validate. For an editor's help: tidemark schema > tidemark.schema.json
# yaml-language-server: $schema=./tidemark.schema.json

# Named places. They must exist: Tidemark never makes a bucket or a root folder.
# \${env:NAME} and \${file:PATH} stand for an environment variable and a file's content.
locations:
  core:
    type: file
    path: ./data/core             # relative to this file
  copy:
    type: file
    path: ./data/copy
  # aws:
  #   type: s3
  #   bucket: acme
  #   prefix: config/             # taken literally: mind the slash at its end
  #   region: us-east-1
  #   # Without keys: the AWS profile, or the instance's role.
  #   access-key-id: "\${env:AWS_ACCESS_KEY_ID}"
  #   secret-access-key: "\${env:AWS_SECRET_ACCESS_KEY}"
  #   # MinIO, R2, B2, Wasabi and others:
  #   # endpoint: https://minio.example.com
  #   # path-style: true
  # gcp:
  #   type: gcs                   # without key-file: Google's application default credentials
  #   bucket: acme
  #   prefix: config/
  # azure:
  #   type: azure-blob
  #   container: acme
  #   prefix: config/
  #   connection-string: "\${env:AZURE_STORAGE_CONNECTION_STRING}"
  #   # or \`account: NAME\` alone, with Azure's default credential

# Defaults for every dataset below.
synchronization:
  mode: manual                    # or scheduled
  conflict-resolution: last-write-wins  # or merge, keep-both, manual, rules: docs/conflicts.md
  # schedule: "0 */6 * * *"       # minute, hour, day of month, month, day of week; in UTC
  # batch-size: 1000

datasets:
  - name: config
    source: core
    destinations: [copy]          # any number
    direction: two-way            # all are equal; one-way: from source to destinations
    # include: ["*.json", conf/]  # a bare pattern: at any depth; a slash at its end: a folder
    # exclude: ["*.tmp"]
    # limits:
    #   max-deletes: { count: 100, percent: 10 }  # more than both in 24 h: held for approval
    #   bandwidth: 10MiB/s
    # history: { keep: 90d }      # what would be lost is kept in the vault; so long

# catalog: "\${env:CATALOG_URL}"   # postgres://…; default: SQLite in the state folder
# temporal:
#   address: temporal.example.com:7233  # default: the embedded server
`
