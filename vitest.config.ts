import { defineConfig } from 'vitest/config'
import LongestFirst from './test/sequencer.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    pool: 'forks',
    // On two cores: half of the files mostly wait, for servers and clocks.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    // Real servers on a busy machine. A test that hangs is a fault; a slow one isn't.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    // Nothing is passed over in silence.
    allowOnly: false,
    passWithNoTests: false,
    retry: 0,
  },
})
