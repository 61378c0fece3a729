/** `audit verify`: whether the audit, and the history that it tells of, are what was written. */
import type { KeyObject } from 'node:crypto'
import { readHeads, type SignedHead } from '../../audit/heads.ts'
import { type Fault, type Verified, verifyAudit } from '../../audit/verify.ts'
import { EXIT } from '../../errors.ts'
import { createLocations } from '../../locations.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { createJsonStream, type JsonStream } from '../json-stream.ts'
import { count, printable, time } from '../output.ts'
import type { Session } from '../session.ts'
import { type HeadsPlace, openHeads, publicKeyOf, signedWith } from './place.ts'

export async function verify(
  context: CommandContext,
  session: Session,
  datasets: string[],
  options: CommandOptions,
): Promise<number> {
  const { output } = context
  const against = signedWith(options)
  const key = against && (await publicKeyOf(against.key))
  const locations = createLocations()
  const stream = createJsonStream(output)
  let faults = 0
  try {
    const place = against && (await openHeads(session.config, locations, against.location))
    if (output.json) await output.write('[')
    for (const [i, dataset] of datasets.entries()) {
      if (output.json && i > 0) await output.write(',')
      await stream.begin({ dataset }, 'faults')
      const heads = place && key ? { place, key } : null
      const verified = await verifyOne(context, session, dataset, heads, stream)
      faults += verified.faults
      // Its name and its faults are there already.
      const { dataset: _, faults: found, ...rest } = verified
      await stream.end({ ...rest, faultCount: found })
      print(context, verified)
    }
    if (output.json) await output.write(']\n')
    return faults > 0 ? EXIT.differences : EXIT.ok
  } finally {
    await locations.close()
  }
}

async function verifyOne(
  context: CommandContext,
  { catalog }: Session,
  dataset: string,
  heads: { place: HeadsPlace; key: KeyObject } | null,
  stream: JsonStream,
): Promise<Verified> {
  const { output, signal } = context
  const onFault = async (fault: Fault) => {
    signal.throwIfAborted()
    await stream.item(fault)
    if (!output.json) await output.write(`${lineOf(fault, context)}\n`)
  }
  if (heads === null) return await verifyAudit(catalog, dataset, null, onFault)
  const signed: SignedHead[] = []
  let found = 0
  const { connector, prefix } = heads.place
  const none = { dataset, seq: null, at: null, run: null }
  for await (const { key, head } of readHeads(connector, prefix, dataset, heads.key, signal)) {
    if (head !== null) signed.push(head)
    else {
      found++
      const message = `${connector.name} ${key} is no head that was signed with this key`
      await onFault({ code: 'audit-head-invalid', ...none, message })
    }
  }
  if (signed.length === 0 && (await catalog.auditHead(dataset)) !== null) {
    found++
    const message = `no signed head of ${dataset} is at ${connector.name} ${prefix}`
    await onFault({ code: 'audit-head-missing', ...none, message })
  }
  const verified = await verifyAudit(catalog, dataset, signed, onFault)
  return { ...verified, faults: verified.faults + found }
}

function lineOf({ code, dataset, seq, at, message }: Fault, { output }: CommandContext): string {
  const row = seq === null ? '' : ` #${seq}`
  const when = at === null ? '' : `, ${time(at)}`
  const where = printable(`${dataset}${row}${when}: ${message}`)
  return `${output.paint('red', `! ${code}`)}  ${where}`
}

function print({ output }: CommandContext, verified: Verified): void {
  const { dataset, rows, runs, lines, underWay, unaudited, heads, faults, head } = verified
  const state = faults === 0 ? output.paint('green', 'as written') : count(faults, 'fault')
  output.line(`${output.paint('bold', dataset)}: ${state}`)
  const history = `${count(lines, 'line')} of history of ${count(runs, 'run')}`
  output.line(`  ${count(rows, 'row')}, ${history} compared`)
  if (head) output.line(`  ends at row ${head.seq}: ${head.digest}`)
  if (underWay > 0) output.line(`  ${count(underWay, 'run')} being carried out now: not compared`)
  if (unaudited > 0) {
    output.line(`  ${count(unaudited, 'run')} ended before there was an audit: not covered`)
  }
  if (heads !== null) output.line(`  held against ${count(heads, 'signed head')}`)
  else {
    output.line('  Not held against signed heads: rows cut off from the end would not be noticed,')
    output.line('  nor an audit that was written anew as a whole. See: tidemark audit sign')
  }
}
