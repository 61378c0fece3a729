/** When a workflow continues as new. */
import { workflowInfo } from '@temporalio/workflow'
import { historyEventsMax } from '../src/limits.ts'

/** Our own bound, or the server's: it may want shorter histories, and counts their bytes. */
export function isHistoryFull(): boolean {
  const { historyLength, continueAsNewSuggested } = workflowInfo()
  return continueAsNewSuggested || historyLength > historyEventsMax
}
