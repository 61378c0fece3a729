/**
 * Two minutes of `npm run chaos`: a seed that stays, and one of the day, which is printed. What is
 * asserted is what must hold afterwards, whatever happened and however long it took.
 */
import { expect, inject, test } from 'vitest'
import { chaos } from './session.ts'

const dayMs = 24 * 60 * 60 * 1000

test.each([
  // Its catalog is PostgreSQL.
  ['fixed', 7],
  ['of the day', Math.floor(Date.now() / dayMs)],
])(
  'a session with the seed %s (%i): nothing is lost, and all agree',
  async (_, seed) => {
    const { s3, gcs, azure } = inject('servers')
    const servers = { s3, gcs, azure }
    const lines: string[] = []
    const say = (line: string) => void lines.push(line)
    const { problems, figures, folder } = await chaos({
      seed,
      minutes: 1,
      servers,
      still: 150,
      say,
    })
    console.log(`chaos, seed ${seed}: ${JSON.stringify(figures)}`)
    if (problems.length > 0) console.log([`all of it is in ${folder}`, ...lines].join('\n'))
    expect(problems).toEqual([])
  },
  600_000,
)
