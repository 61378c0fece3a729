/** The one list of workflows: what the worker bundles, and what a client may start. */
export { scheduledSync } from './scheduled-sync.ts'
export { syncDataset } from './sync-dataset.ts'
export { syncRange } from './sync-range.ts'
