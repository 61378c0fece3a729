import { inject } from 'vitest'
import { gcsWorld } from '../connectors/gcs-world.ts'
import { conformance } from './suite.ts'

const stale = 'fake-gcs-server deletes at any generation; gcs.test.ts asserts the request'
const blind = "fake-gcs-server's rewrite heeds no precondition; gcs.test.ts asserts the request"
const status =
  'fake-gcs-server takes the question how much it has for the end; see gcs-upload.test.ts'

conformance({
  name: 'gcs',
  make: () => gcsWorld(inject('servers').gcs.endpoint),
  skip: [
    { test: 'a remove of another state changes nothing', reason: stale },
    { test: 'a remove is conditional at its very end', reason: stale },
    { test: 'a copy where a key is changes nothing', reason: blind },
    {
      test: 'a copy over the expected state is done, over another it changes nothing',
      reason: blind,
    },
    { test: 'an interrupted write goes on where it stopped', reason: status },
    { test: 'a session that the store forgot begins anew', reason: status },
  ],
})
