/** Test files that take minutes begin first: so that none of them is alone at the end. */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const longest = [
  'simulation/simulation',
  'chaos/chaos',
  'integration/kills',
  'cli/runs',
  'cli/conflicts',
  'cli/controls',
  'cli/interrupted',
  'simulation/mutants',
  'integration/quickstart',
  'cli/history',
]

export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const others = await super.sort(files)
    const long = longest.flatMap((name) =>
      others.filter(({ moduleId }) => moduleId.endsWith(`test/${name}.test.ts`)),
    )
    return [...long, ...others.filter((one) => !long.includes(one))]
  }
}
