/** Writes what the last line of `npm test` counts, to the file that TIDEMARK_TEST_SUMMARY names. */
import { writeFileSync } from 'node:fs'
import type { SerializedError } from 'vitest'
import type { Reporter, TestModule } from 'vitest/node'

export interface Summary {
  passed: number
  failed: number
  /** Test files that couldn't be loaded, and errors outside any test. Each counts as a failure. */
  broken: string[]
  skipped: { name: string; reason: string }[]
}

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const summary: Summary = { passed: 0, failed: 0, broken: [], skipped: [] }
    for (const error of errors) summary.broken.push(error.message)
    for (const module of modules) count(module, summary)
    const file = process.env.TIDEMARK_TEST_SUMMARY
    if (file) writeFileSync(file, JSON.stringify(summary))
  }
}

function count(module: TestModule, summary: Summary): void {
  for (const test of module.children.allTests()) {
    const result = test.result()
    if (result.state === 'passed') summary.passed++
    if (result.state === 'failed') summary.failed++
    if (result.state === 'skipped') {
      if (result.note) summary.skipped.push({ name: test.fullName, reason: result.note })
      // Of its own accord, or because a hook before it failed.
      else summary.broken.push(`${test.fullName}: didn't run, without a reason`)
    }
    if (result.state === 'pending') summary.broken.push(`${test.fullName}: never ran`)
  }
  const suites = [module, ...module.children.allSuites()]
  const errors = suites.flatMap((suite) => suite.errors().map((error) => error.message))
  for (const error of errors) summary.broken.push(`${module.moduleId}: ${error}`)
}
