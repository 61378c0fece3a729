import { expect, test } from 'vitest'
import { awaitCatalog } from '../../src/cli/catalog-patience.ts'
import { UserError } from '../../src/errors.ts'

const { signal } = new AbortController()
const away = () => new UserError('catalog-unreachable', 'it is away', { exit: 6 })

test('a catalog that is away for a moment is asked again', async () => {
  let asked = 0
  const ask = async () => {
    if (++asked < 3) throw away()
    return 'answer'
  }
  expect(await awaitCatalog(signal, ask)).toBe('answer')
  expect(asked).toBe(3)
})

test('what else it says is thrown at once; and so is everything after Ctrl-C', async () => {
  let asked = 0
  const refuse = (error: unknown) => async () => {
    asked++
    throw error
  }
  const denied = new UserError('catalog-denied', 'no')
  await expect(awaitCatalog(signal, refuse(denied))).rejects.toBe(denied)
  const gone = away()
  await expect(awaitCatalog(AbortSignal.abort(), refuse(gone))).rejects.toBe(gone)
  expect(asked).toBe(2)
})
