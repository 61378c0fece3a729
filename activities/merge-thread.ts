/** The program of a merge's thread: see `mergeInThread`. */
import { parentPort, workerData } from 'node:worker_threads'
import { type MergeTask, runMerge } from '../src/sync/strategies/merge-task.ts'

parentPort?.postMessage(runMerge(workerData as MergeTask))
