/** What a version's or a side's bytes are, for people: from whoever holds them. */
import type { ReadResult } from '../../connectors/connector.ts'
import { StoreError } from '../errors.ts'
import { createLocations, createVaults } from '../locations.ts'
import type { Content, Key, Source } from '../model.ts'
import { compareContent } from '../sync/content.ts'
import type { CommandContext } from './command.ts'
import type { Session } from './session.ts'

export interface Contents {
  /** Into the vault; the content with its digests. */
  keep(bytes: Uint8Array): Promise<Content>
  /** Whether the vault does. */
  has(content: Content): Promise<boolean>
  /** From a replica that holds it, pinned, else from the vault. null: nobody has it any more. */
  open(dataset: string, key: Key, content: Content, sources?: Source[]): Promise<ReadResult | null>
  close(): Promise<void>
}

export async function openContents(
  { state, signal }: Pick<CommandContext, 'state' | 'signal'>,
  { config, catalog }: Session,
): Promise<Contents> {
  const locations = createLocations()
  const vault = await createVaults(locations, catalog, state)(config)

  /** Whom the baseline says to hold it. */
  async function holders(dataset: string, key: Key, content: Content): Promise<Source[]> {
    const row = (await catalog.getBaseline(dataset, [key])).get(key)
    return Object.entries(row?.holds ?? {}).flatMap(([replica, { token, version, drift }]) => {
      const same = version.content && compareContent(version.content, content) === 'same'
      return token && same && !drift ? [{ replica, token }] : []
    })
  }

  async function readAt({ replica, token }: Source, key: Key): Promise<ReadResult | null> {
    // A replica that has left the config can't be asked.
    if (!config.locations[replica]) return null
    try {
      const connector = await locations.open(config, replica)
      return await connector.read(key, token, undefined, { signal })
    } catch (error) {
      if (signal.aborted || !(error instanceof StoreError)) throw error
      // Changed since, or out of reach: another one may have it.
      return null
    }
  }

  return {
    keep: (bytes) => vault.putBytes(bytes, signal),
    has: (content) => vault.has(content, signal),
    async open(dataset, key, content, sources = []) {
      // The vault first where it has it: it doesn't change under the reader.
      if (await vault.has(content, signal)) return await vault.get(content, signal)
      for (const source of [...sources, ...(await holders(dataset, key, content))]) {
        const found = await readAt(source, key)
        if (found) return found
      }
      return null
    },
    close: () => locations.close(),
  }
}
