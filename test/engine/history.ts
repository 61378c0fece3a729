/** What a person does with history, on the engine: plan a restore, then apply that plan. */
import type { RunRecord } from '../../src/catalog/catalog.ts'
import type { Request, RestorePoint } from '../../src/model.ts'
import type { Engine, RunOptions } from './engine.ts'

export async function planOf(engine: Engine, request: Request): Promise<RunRecord> {
  const id = await engine.catalog.createRequest('data', request, 'me@here', engine.deps.clock())
  return await engine.run({ mode: 'plan', request: id })
}

/** Planned, then applied. */
export async function carryOut(
  engine: Engine,
  request: Request,
  options: RunOptions = {},
): Promise<RunRecord> {
  const plan = await planOf(engine, request)
  if (plan.state !== 'planned') return plan
  return await engine.run({ ...options, mode: 'apply', base: plan.run })
}

export const restoreTo = (to: RestorePoint, more: Partial<Request> = {}): Request =>
  ({ kind: 'restore', to, prefix: '', overwriteLater: false, ...more }) as Request

export const undo = (run: number, more: Partial<Request> = {}): Request =>
  ({ kind: 'undo', run, prefix: '', overwriteLater: false, ...more }) as Request
