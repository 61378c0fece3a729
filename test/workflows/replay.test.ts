/**
 * The workflows of today go on with the runs of every release: histories of real runs, recorded by
 * `scripts/record-histories.ts`, are replayed. A failure here means that runs which are open when a
 * new version is installed would be stuck: use `patched`, or (before a release) record anew.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker'
import { beforeAll, describe, expect, test } from 'vitest'
import { packageRoot } from '../../src/package-root.ts'
import { workflowBundle } from './temporal.ts'

const root = fileURLToPath(new URL('../fixtures/histories/', import.meta.url))
const releases = readdirSync(root)

interface Recorded {
  workflowId: string
  history: { events: { eventType: string }[] }
}

function recordedIn(release: string): { name: string; recorded: Recorded }[] {
  return readdirSync(join(root, release)).map((name) => ({
    name,
    recorded: JSON.parse(readFileSync(join(root, release, name), 'utf8')) as Recorded,
  }))
}

/** The workflow ids whose replay fails, with the reason. */
async function failures(code: string, histories: Recorded[]): Promise<string[]> {
  const failed: string[] = []
  const replay = Worker.runReplayHistories({ workflowBundle: { code } }, histories)
  for await (const { workflowId, error } of replay) {
    if (error) failed.push(`${workflowId}: ${error.message}`)
  }
  return failed
}

beforeAll(() => {
  // A failed replay is told by its result.
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => undefined),
    telemetryOptions: { logging: { filter: 'OFF' } },
  })
})

describe.each(releases)('the runs of %s', (release) => {
  test('are gone on with by the workflows of today', async () => {
    const { code } = await workflowBundle()
    const histories = recordedIn(release)
    expect(histories.length).toBeGreaterThan(40)
    expect(
      await failures(
        code,
        histories.map(({ recorded }) => recorded),
      ),
    ).toEqual([])
  })

  test('are of every kind: continued, cut, paused, cancelled, planned, held, scheduled', () => {
    const histories = recordedIn(release)
    const scenarios = new Set(histories.map(({ name }) => name.split('.')[0]))
    expect([...scenarios].toSorted()).toEqual([
      ...['cancelled', 'conflicts', 'continued', 'cut-ranges', 'failed-range', 'held'],
      ...['known-ranges', 'paused', 'planned', 'refused', 'scheduled', 'selected', 'unchanged'],
    ])
    const ends = (scenario: string) =>
      histories
        .filter(({ name }) => name.startsWith(`${scenario}.`))
        .map(({ recorded }) => [
          recorded.workflowId.includes('/r') ? 'range' : 'run',
          recorded.history.events.at(-1)?.eventType,
        ])
    const continued = 'EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW'
    expect(ends('continued')).toContainEqual(['run', continued])
    expect(ends('continued')).toContainEqual(['range', continued])
    expect(ends('failed-range')).toContainEqual(['range', 'EVENT_TYPE_WORKFLOW_EXECUTION_FAILED'])
    expect(ends('cancelled')).toContainEqual(['range', 'EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED'])
    const signals = histories
      .filter(({ name }) => name.startsWith('paused.'))
      .flatMap(({ recorded }) => recorded.history.events)
      .filter(({ eventType }) => eventType === 'EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED')
    expect(signals.length).toBeGreaterThan(1)
  })

  test('I10: name no key, no bound, no content and no secret', () => {
    for (const { name, recorded } of recordedIn(release)) {
      const texts = [JSON.stringify(recorded), ...payloadsOf(recorded)]
      for (const text of texts) {
        // The words that all keys and contents of the recorded runs have, and where they were.
        expect(text, name).not.toMatch(/confidential|classified|key-\d|\/tmp\/|\/home\/|secret/i)
      }
    }
  })

  test('I10: carry references and counts alone: no payload grows with the number of keys', () => {
    for (const { name, recorded } of recordedIn(release)) {
      for (const text of payloadsOf(recorded))
        expect(text.length, `${name}: ${text}`).toBeLessThan(400)
    }
  })
})

test('this version’s own runs are among them', () => {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'))
  expect(releases).toContain(version)
})

test.each([
  ['a step that is left out', 'await weighDeletes({', 'await Promise.resolve({'],
  ['a step in another’s place', 'await prepare(input)', 'await finish(input)'],
  ['a range’s step in another’s place', /=>\s*scan\(\{/, '=> resolve({'],
])('a workflow with %s fails its replay', async (_, text, instead) => {
  const { code } = await workflowBundle()
  const broken = code.replace(text, instead)
  expect(broken).not.toBe(code)
  const histories = recordedIn(releases.at(-1) as string).map(({ recorded }) => recorded)
  expect((await failures(broken, histories)).length).toBeGreaterThan(0)
})

/** What Temporal carries in base64, as text. */
function payloadsOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) =>
    name === 'data' && typeof inner === 'string'
      ? [Buffer.from(inner, 'base64').toString()]
      : payloadsOf(inner),
  )
}
