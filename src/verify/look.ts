/** What can be learned of one key at each replica: asked of the store, or read; once each. */
import { patiently } from '../../activities/patiently.ts'
import type { Connector } from '../../connectors/connector.ts'
import { createDigester, type DigestChoice, digestProblem } from '../../connectors/digests.ts'
import { StoreError } from '../errors.ts'
import type { Entry, Key } from '../model.ts'

export interface Place {
  name: string
  connector: Connector
}

export interface Reading {
  signal: AbortSignal
  /** Told of each object that was read to its end. */
  onRead(bytes: number): void
}

export interface Look {
  /** As far as it is known by now. */
  entry(replica: number): Entry
  /** Asks the store for all that it knows. */
  stat(replica: number): Promise<void>
  /** Reads what the listing showed, and no later state; its digests are known then. */
  read(replica: number): Promise<void>
  wasStatted(replica: number): boolean
  wasRead(replica: number): boolean
}

/** `entries`: by the place of the replica; only for these may anything be asked. */
export function createLook(
  places: Place[],
  key: Key,
  entries: Map<number, Entry>,
  deep: boolean,
  reading: Reading,
): Look {
  const known = new Map(entries)
  const asked = { stat: new Map<number, Promise<void>>(), read: new Map<number, Promise<void>>() }
  const entry = (replica: number) => known.get(replica) as Entry
  const placeOf = (replica: number) => places[replica] as Place

  async function stat(replica: number): Promise<void> {
    const { connector, name } = placeOf(replica)
    const before = entry(replica)
    const now = await patiently(reading.signal, () => connector.stat(key, reading))
    if (now === null || now.token.id !== before.token.id) {
      const details = { location: name, operation: 'stat', key }
      throw new StoreError('changed-meanwhile', 'it changed while it was compared', details)
    }
    const latest = entry(replica)
    known.set(replica, { ...now, digests: { ...latest.digests, ...now.digests } })
  }

  async function read(replica: number): Promise<void> {
    const { connector } = placeOf(replica)
    const before = entry(replica)
    const digests = await patiently(reading.signal, () =>
      digestsOf(connector, before, choiceOf([...known.values()], deep), reading),
    )
    const latest = entry(replica)
    known.set(replica, { ...latest, digests: { ...latest.digests, ...digests } })
  }

  const once = (memory: Map<number, Promise<void>>, ask: (replica: number) => Promise<void>) => {
    return (replica: number) => {
      const answer = memory.get(replica) ?? ask(replica)
      memory.set(replica, answer)
      return answer
    }
  }
  return {
    entry,
    stat: once(asked.stat, stat),
    read: once(asked.read, read),
    wasStatted: (replica) => asked.stat.has(replica),
    wasRead: (replica) => asked.read.has(replica),
  }
}

/** What any of them shows can be compared with; sha256 where none shows anything. */
function choiceOf(entries: Entry[], deep: boolean): DigestChoice {
  const shown = (name: keyof DigestChoice) =>
    entries.some(({ digests }) => digests[name] !== undefined)
  const [md5, crc32c] = [shown('md5'), shown('crc32c')]
  return { sha256: deep || shown('sha256') || !(md5 || crc32c), md5, crc32c }
}

async function digestsOf(
  connector: Connector,
  entry: Entry,
  choice: DigestChoice,
  { signal, onRead }: Reading,
): Promise<Entry['digests']> {
  const details = { location: connector.name, operation: 'read', key: entry.key }
  const digester = createDigester(choice)
  let size = 0
  const { body } = await connector.read(entry.key, entry.token, undefined, { signal })
  for await (const chunk of body) {
    digester.update(chunk)
    size += chunk.length
  }
  onRead(size)
  const digests = digester.digest()
  const problem =
    size === entry.size
      ? digestProblem(entry.digests, digests)
      : `${size} bytes came, ${entry.size} were announced`
  // The store's own words about its content are wrong: that is no difference between replicas.
  if (problem) throw new StoreError('corrupt', problem, details)
  return digests
}
