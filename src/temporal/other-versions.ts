/**
 * Runs that another version of Tidemark began. Their histories can't be replayed by other workflow
 * code, so the embedded default ends them: the next sync plans them again, and what they did isn't
 * done twice (I6). On a cluster nothing does this: there, let runs end before an upgrade.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { WorkflowNotFoundError } from '@temporalio/client'
import { packageVersion } from '../package-root.ts'
import { connect } from './connection.ts'

/** Tells which version's workers this state folder has had last. */
const versionFile = (stateDir: string) => join(stateDir, 'workflows-version')

/** `codePath`: the bundle's, whose name in a checkout has its sources' digest. Gives how many runs
 *  were ended. */
export async function endRunsOfOthers(
  address: string,
  stateDir: string,
  codePath: string,
  log: (line: string) => void,
): Promise<number> {
  const file = versionFile(stateDir)
  const version = `${packageVersion} ${basename(codePath)}`
  const before = existsSync(file) ? readFileSync(file, 'utf8').trim() : null
  if (before === version) return 0
  const ended = await endOpenRuns(address, `superseded by Tidemark ${version}`)
  // Afterwards: cut off in the middle, the next start ends the rest.
  writeFileSync(`${file}.new`, `${version}\n`)
  renameSync(`${file}.new`, file)
  if (ended > 0) {
    log(`ended ${ended} open workflows of another version of Tidemark; a sync plans them again`)
  }
  return ended
}

async function endOpenRuns(address: string, reason: string): Promise<number> {
  const { client, close } = await connect({ address })
  let ended = 0
  try {
    const open = client.workflow.list({ query: "ExecutionStatus = 'Running'" })
    for await (const { type, workflowId, runId } of open) {
      if (!workflowTypes.includes(type)) continue
      try {
        await client.workflow.getHandle(workflowId, runId).terminate(reason)
        ended++
      } catch (error) {
        // A range's child ends with its run.
        if (!(error instanceof WorkflowNotFoundError)) throw error
      }
    }
  } finally {
    await close()
  }
  return ended
}

/** Those of workflows/index.ts. */
const workflowTypes = ['syncDataset', 'syncRange', 'scheduledSync']
