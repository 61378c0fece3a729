import { inject } from 'vitest'
import { azureWorld } from '../connectors/azure-world.ts'
import { conformance } from './suite.ts'

const none = 'Azurite keeps no versions; azure-versions.test.ts asserts requests and answers'

conformance({
  name: 'azure-blob',
  make: () => azureWorld(inject('servers').azure),
  skip: [
    { test: 'a version that was named is there when its key is overwritten', reason: none },
    { test: 'a version that was named is there when its key is removed', reason: none },
    { test: 'an empty version is one', reason: none },
    { test: 'what is no longer the present state is not named', reason: none },
    { test: 'a version that was removed is gone, and its key is not', reason: none },
  ],
})
