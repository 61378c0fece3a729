/** Generations as versions: the bucket's setting, and answers that no emulator gives. */
import { describe, expect, it } from 'vitest'
import type { Connector, Versions } from '../../connectors/connector.ts'
import { calling, failsWith } from '../conformance/world.ts'
import { object, refusal, scripted, token } from './gcs-world.ts'
import type { Answer, Recorded } from './scripted-server.ts'

const versionsOf = (connector: Connector) => connector.versions as Versions
const isBucket = ({ path }: Recorded) => path === '/storage/v1/b/b'
const bucketSays = (answer: Answer) => (request: Recorded) =>
  isBucket(request) ? answer : { body: object('k') }

describe('a generation', () => {
  it('is kept where the bucket’s versioning is on, which is asked once', async () => {
    const { connector, requests } = await scripted(
      bucketSays({ body: { versioning: { enabled: true } } }),
    )
    for (let i = 0; i < 3; i++) {
      expect(await versionsOf(connector).keep('k', token, calling())).toBe('7')
    }
    expect(requests.filter(isBucket)).toMatchObject([{ query: { fields: 'versioning' } }])
  })

  it.each([
    ['is off', { body: { versioning: { enabled: false } } }],
    ['was never set', { body: {} }],
    ['may not be asked for', refusal(403, 'forbidden')],
  ])('is not relied on where the bucket’s versioning %s', async (_, answer) => {
    const { connector } = await scripted(bucketSays(answer))
    expect(await versionsOf(connector).keep('k', token, calling())).toBeNull()
  })

  it('of a bucket that gives no answer is not known to be kept', async () => {
    const { connector } = await scripted(bucketSays(refusal(503, 'backendError')))
    await failsWith('unavailable', versionsOf(connector).keep('k', token, calling()))
  })
})
