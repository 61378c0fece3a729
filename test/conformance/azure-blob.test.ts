import { inject } from 'vitest'
import { azureWorld } from '../connectors/azure-world.ts'
import { conformance } from './suite.ts'

conformance({
  name: 'azure-blob',
  make: () => azureWorld(inject('servers').azure),
})
