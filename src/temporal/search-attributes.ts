/** What runs can be found by in Temporal. Never encrypted: names and states only. */
import type { Connection } from '@temporalio/client'
import { searchAttributes } from '../../workflows/messages.ts'

export const searchAttributeNames: string[] = Object.values(searchAttributes).map((key) => key.name)

/** temporal.api.enums.v1.IndexedValueType */
const keyword = 2

/**
 * Adds those that are missing. The dev server reads `--search-attribute` only into a new database
 * file, and a cluster knows nothing of ours before.
 */
export async function ensureSearchAttributes(
  connection: Connection,
  namespace: string,
): Promise<void> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace })
  const missing = searchAttributeNames.filter((name) => !(name in customAttributes))
  if (missing.length === 0) return
  await connection.operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(missing.map((name) => [name, keyword])),
  })
}
