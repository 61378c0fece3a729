/** `audit sign`: the present end of each chain, signed, where nobody overwrites it. */
import { createPublicKey } from 'node:crypto'
import { headKey, readHead, signHead, writeHead } from '../../audit/heads.ts'
import { EXIT, UserError } from '../../errors.ts'
import { createLocations } from '../../locations.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import type { Session } from '../session.ts'
import { openHeads, privateKeyOf } from './place.ts'

export async function sign(
  context: CommandContext,
  { config, catalog }: Session,
  datasets: string[],
  { key, to }: CommandOptions,
): Promise<number> {
  if (typeof key !== 'string' || typeof to !== 'string') {
    throw new UserError('usage-invalid', 'signing needs a key, and a place for what is signed', {
      next: 'Write: tidemark audit sign --key PRIVATE.pem --to LOCATION[/PREFIX]',
    })
  }
  const { output, signal, by } = context
  const privateKey = await privateKeyOf(key)
  const locations = createLocations()
  const signed: { dataset: string; seq: number; digest: string; key: string; new: boolean }[] = []
  try {
    const { connector, prefix } = await openHeads(config, locations, to)
    if (!connector.traits.conditionalCreate) throw overwritable(connector.name)
    for (const dataset of datasets) {
      const end = await catalog.auditHead(dataset)
      if (end === null) continue
      const head = signHead({ dataset, ...end, signedAt: Date.now(), by }, privateKey)
      const at = headKey(prefix, dataset, end.seq)
      const made = await writeHead(connector, prefix, head, signal)
      if (!made) {
        const publicKey = createPublicKey(privateKey)
        const there = await readHead(connector, at, dataset, publicKey, signal)
        if (there?.digest !== end.digest) throw differs(dataset, connector.name, at)
      }
      signed.push({ dataset, seq: end.seq, digest: end.digest, key: at, new: made })
      const how = made ? 'signed' : 'was signed before'
      output.line(`${dataset}: row ${end.seq} ${how}: ${connector.name} ${at}`)
    }
    if (signed.length === 0) output.line('nothing is in the audit yet')
    output.result({ signed })
    return EXIT.ok
  } finally {
    await locations.close()
  }
}

function overwritable(location: string): UserError {
  return new UserError(
    'audit-place-overwritable',
    `${location} can’t refuse to overwrite: what is signed there wouldn’t stay`,
    { next: 'Name a location whose store has conditional writes; see: tidemark doctor --probe' },
  )
}

function differs(dataset: string, location: string, key: string): UserError {
  const words = `another head of ${dataset} lies there already, or one of another key`
  return new UserError('audit-head-differs', words, {
    where: `${location} ${key}`,
    next: 'Look what is wrong: tidemark audit verify --heads LOCATION --key PUBLIC.pem',
    exit: EXIT.differences,
  })
}
