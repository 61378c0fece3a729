/** Conflicts over real stores: merged from all of them, kept side by side on all of them. */
import { expect, test } from 'vitest'
import { ruleOf } from '../sync/deciding.ts'
import { datasetOf, expectAlike, expectQuiet, type Kind } from './datasets.ts'
import { contentOf, type Place } from './places.ts'

const kinds: Kind[] = ['file', 's3', 'gcs', 'azure']
const merge = { name: 'merge', format: 'auto', lists: 'ordered', csvKey: null } as const
const json = (value: object) => `${JSON.stringify(value, null, 2)}\n`

test('a field that each of four stores changed alone is there in all of them', async () => {
  const { engine, places } = await datasetOf(kinds, {
    rules: ruleOf({ ...merge, bytesMax: 1 << 20 }),
  })
  const base = { file: 0, s3: 0, gcs: 0, azure: 0 }
  await (places[1] as Place).put('conf/k.json', json(base))
  await engine.run()
  for (const place of places) await place.put('conf/k.json', json({ ...base, [place.kind]: 1 }))
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 4, conflicts: 0 } })
  await expectAlike(places)
  const { 'conf/k.json': merged = '' } = await contentOf(places[0] as Place)
  expect(JSON.parse(merged)).toEqual({ file: 1, s3: 1, gcs: 1, azure: 1 })
  await expectQuiet(engine)
})

test('the losers of four stores are kept beside the winner in all of them, once', async () => {
  const { engine, places } = await datasetOf(kinds, {
    rules: ruleOf({ name: 'keep-both', as: '{name}.conflict-{replica}-{time}{ext}' }),
  })
  for (const place of places) await place.put('a b/k.txt', `of ${place.kind}`)
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { conflicts: 0 } })
  await expectAlike(places)
  const content = await contentOf(places[0] as Place)
  expect(Object.values(content).toSorted()).toEqual(['of azure', 'of file', 'of gcs', 'of s3'])
  for (const key of Object.keys(content))
    expect(key).toMatch(/^a b\/k(\.conflict-[a-d]-\d+T\d+Z)?\.txt$/)
  await expectQuiet(engine)
})
